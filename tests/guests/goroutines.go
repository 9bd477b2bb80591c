// Goroutines, channels, timers, collection and preemption: what Go's runtime asks of Linux.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func sum(count int) int {
	values := make(chan int)
	var all sync.WaitGroup
	for i := 0; i < count; i++ {
		all.Add(1)
		go func(i int) { defer all.Done(); values <- i }(i)
	}
	go func() { all.Wait(); close(values) }()
	total := 0
	for value := range values {
		total += value
	}
	return total
}

var sink [][]byte

func main() {
	runtime.GOMAXPROCS(1)
	fmt.Println("sum", sum(200))

	// Threads of their own.
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() { runtime.LockOSThread(); time.Sleep(time.Millisecond); all.Done() }()
	}
	all.Wait()

	// A goroutine that never calls anything is preempted with a signal.
	go func() {
		for {
		}
	}()
	time.Sleep(2 * time.Millisecond)
	fmt.Println("slept")
	select {
	case <-make(chan int):
	case <-time.After(3 * time.Millisecond):
		fmt.Println("timed out")
	}

	for i := 0; i < 1000; i++ {
		sink = append(sink, make([]byte, 10000))
		if len(sink) > 50 {
			sink = sink[25:]
		}
	}
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	fmt.Println("collected", memory.NumGC > 0)

	reader, writer, err := os.Pipe()
	fmt.Println(err)
	go func() { time.Sleep(time.Millisecond); writer.Write([]byte("through a pipe")); writer.Close() }()
	bytes := make([]byte, 100)
	n, err := reader.Read(bytes)
	fmt.Println(string(bytes[:n]), err)
	_, err = reader.Read(bytes)
	fmt.Println(err)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	syscall.Kill(syscall.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-signals)

	defer func() {
		fmt.Println(recover())
		os.Exit(3)
	}()
	var nothing *int
	*nothing = 1
}
