// tls ADDRESS CLIENTS SECONDS REQUEST ANSWER, and no silent clients
//
// What load.c does, over TLS: ADDRESS is `tls:PORT`. load.ts does the same, slower.
package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	address  = strings.Replace(os.Args[1], "tls:", "127.0.0.1:", 1)
	clients  = number(os.Args[2])
	seconds  = number(os.Args[3])
	request  = bytes.Repeat([]byte("x"), int(number(os.Args[4])))
	expected = bytes.Repeat([]byte("x"), int(number(os.Args[5])))
	// Whom the certificate names is not what is measured.
	config = &tls.Config{InsecureSkipVerify: true}
)

func number(text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func exchange(answer []byte) {
	conn, err := tls.Dial("tcp", address, config)
	check(err)
	defer conn.Close()
	_, err = conn.Write(request)
	check(err)
	check(conn.CloseWrite())
	size, err := io.ReadFull(conn, answer)
	if err == nil || !bytes.Equal(answer[:size], expected) {
		check(fmt.Errorf("the answer is wrong or cut"))
	}
	// To its end, and no sooner.
	if err != io.ErrUnexpectedEOF {
		check(err)
	}
}

func main() {
	if len(expected) == 0 {
		expected = []byte(strconv.Itoa(len(request)))
	}
	start := time.Now()
	end := start.Add(time.Duration(seconds * float64(time.Second)))
	var exchanges int64
	var all sync.WaitGroup
	for i := 0; i < int(clients); i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			answer := make([]byte, len(expected)+1)
			for {
				exchange(answer)
				atomic.AddInt64(&exchanges, 1)
				if time.Now().After(end) {
					return
				}
			}
		}()
	}
	all.Wait()
	took := time.Since(start).Seconds()
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	fmt.Printf("{\"exchanges\":%d,\"seconds\":%f,\"cpu\":%f}\n", exchanges, took, cpu)
}
