// A WebSocket server (RFC 6455) of Go's own library: messages come back, with how many connections and messages the
// process has seen. Connections are taken over from net/http, as libraries for WebSocket do.
package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

const (
	text  = 1
	end   = 8
	ping  = 9
	pong  = 10
	final = 0x80
	most  = 1 << 20
)

var connections, messages atomic.Int64

func read(from io.Reader) (kind byte, message []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(from, head[:]); err != nil {
		return
	}
	size := uint64(head[1] & 0x7f)
	if size == 126 {
		var more [2]byte
		_, err = io.ReadFull(from, more[:])
		size = uint64(binary.BigEndian.Uint16(more[:]))
	} else if size == 127 {
		var more [8]byte
		_, err = io.ReadFull(from, more[:])
		size = binary.BigEndian.Uint64(more[:])
	}
	if err != nil || head[0]&final == 0 || head[1]&0x80 == 0 || size > most {
		return 0, nil, fmt.Errorf("not for this server: %v", err)
	}
	var mask [4]byte
	message = make([]byte, size)
	if _, err = io.ReadFull(from, mask[:]); err == nil {
		_, err = io.ReadFull(from, message)
	}
	for i := range message {
		message[i] ^= mask[i%4]
	}
	return head[0] & 0xf, message, err
}

func write(to net.Conn, kind byte, message []byte) error {
	frame := []byte{final | kind}
	switch size := len(message); {
	case size < 126:
		frame = append(frame, byte(size))
	case size < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 126), uint16(size))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 127), uint64(size))
	}
	_, err := to.Write(append(frame, message...))
	return err
}

func talk(connection net.Conn, from *bufio.Reader) {
	defer connection.Close()
	number := connections.Add(1)
	for {
		kind, message, err := read(from)
		switch {
		case err != nil:
			return
		case kind == end:
			write(connection, end, message)
			return
		case kind == ping:
			write(connection, pong, message)
		case kind == text:
			write(connection, text, []byte(fmt.Sprintf("%d %d %s", number, messages.Add(1), message)))
		}
	}
}

func serve(response http.ResponseWriter, request *http.Request) {
	key := request.Header.Get("Sec-WebSocket-Key")
	if key == "" {
		http.Error(response, "this is for WebSocket", http.StatusUpgradeRequired)
		return
	}
	connection, buffers, err := response.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	accept := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(accept[:]))
	talk(connection, buffers.Reader)
}

func main() {
	http.HandleFunc("/", serve)
	panic(http.ListenAndServe("127.0.0.1:8080", nil))
}
