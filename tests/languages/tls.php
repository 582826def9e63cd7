<?php
[, $host, $port, $authority, $half_close] = $argv;
$context = stream_context_create(
    ["ssl" => ["cafile" => $authority, "peer_name" => "localhost"]]
);
$socket = stream_socket_client(
    "tls://$host:$port", $code, $message, 60, STREAM_CLIENT_CONNECT, $context
);
fwrite($socket, stream_get_contents(STDIN));
if ($half_close === "yes") {
    stream_socket_shutdown($socket, STREAM_SHUT_WR);
}
echo stream_get_contents($socket);
