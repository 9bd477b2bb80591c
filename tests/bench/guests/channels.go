// Two goroutines that hand over to each other through channels: channels CASE ROUNDS prints microseconds for each. With
// "locked" each has a thread of its own.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

func main() {
	locked := os.Args[1] == "locked"
	rounds, _ := strconv.Atoi(os.Args[2])
	there, back := make(chan int), make(chan int)
	go func() {
		if locked {
			runtime.LockOSThread()
		}
		for value := range there {
			back <- value
		}
	}()
	if locked {
		runtime.LockOSThread()
	}
	begin := time.Now()
	for i := 0; i < rounds; i++ {
		there <- i
		<-back
	}
	fmt.Printf("%.4f\n", float64(time.Since(begin).Nanoseconds())/1000/float64(rounds)/2)
}
