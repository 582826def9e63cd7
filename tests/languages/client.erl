#!/usr/bin/env escript
main([Host, Port]) ->
    ok = io:setopts(standard_io, [binary, {encoding, latin1}]),
    {ok, Socket} = gen_tcp:connect(Host, list_to_integer(Port), [binary, {active, false}]),
    ok = send(Socket),
    gen_tcp:shutdown(Socket, write),
    reply(Socket).

send(Socket) ->
    case file:read(standard_io, 65536) of
        eof -> ok;
        {ok, Data} -> ok = gen_tcp:send(Socket, Data), send(Socket)
    end.

reply(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {error, closed} -> ok;
        {ok, Data} -> ok = file:write(standard_io, Data), reply(Socket)
    end.
