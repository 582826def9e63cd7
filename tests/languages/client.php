<?php
$socket = stream_socket_client("tcp://$argv[1]:$argv[2]");
fwrite($socket, stream_get_contents(STDIN));
stream_socket_shutdown($socket, STREAM_SHUT_WR);
echo stream_get_contents($socket);
