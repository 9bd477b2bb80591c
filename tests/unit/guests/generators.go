// A program that draws a number while it boots and one more when it has read its input. With "seed" as in docs/programs.md.
package main

import (
	crypto "crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand"
	"os"
)

func seed() {
	var bytes [8]byte
	if _, err := crypto.Read(bytes[:]); err != nil {
		panic(err)
	}
	rand.Seed(int64(binary.LittleEndian.Uint64(bytes[:])))
}

func main() {
	rand.Int63()
	if _, err := io.ReadAll(os.Stdin); err != nil {
		panic(err)
	}
	if os.Args[1] == "seed" {
		seed()
	}
	fmt.Println(rand.Int63())
}
