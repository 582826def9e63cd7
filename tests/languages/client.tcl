set socket [socket [lindex $argv 0] [lindex $argv 1]]
foreach channel [list stdin stdout $socket] { fconfigure $channel -translation binary }
puts -nonewline $socket [read stdin]
close $socket write
puts -nonewline [read $socket]
