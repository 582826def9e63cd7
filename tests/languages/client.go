package main

import (
	"io"
	"net"
	"os"
)

func main() {
	conn, err := net.Dial("tcp", os.Args[1]+":"+os.Args[2])
	if err != nil {
		panic(err)
	}
	io.Copy(conn, os.Stdin)
	conn.(*net.TCPConn).CloseWrite()
	io.Copy(os.Stdout, conn)
}
