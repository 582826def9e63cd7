use strict;
use IO::Socket::INET;
use Socket qw(SHUT_WR);

my $socket = IO::Socket::INET->new("$ARGV[0]:$ARGV[1]") or die $@;
print $socket <STDIN>;
$socket->flush;
$socket->shutdown(SHUT_WR);
print <$socket>;
