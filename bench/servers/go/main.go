// main WORK: one connection at a time, without a goroutine for each.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
)

var (
	chunk = make([]byte, 65536)
	large = bytes.Repeat([]byte("x"), 8<<20)
)

func count(conn net.Conn) int {
	size := 0
	for {
		n, err := conn.Read(chunk)
		size += n
		if err != nil {
			return size
		}
	}
}

func exchange(conn net.Conn, work string) {
	defer conn.Close()
	if work == "stream" {
		io.WriteString(conn, strconv.Itoa(count(conn)))
		return
	}
	request, err := io.ReadAll(conn)
	if err != nil {
		return
	}
	if work == "answer" {
		conn.Write(large)
	} else {
		io.WriteString(conn, strconv.Itoa(len(request)))
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		exchange(conn, os.Args[1])
	}
}
