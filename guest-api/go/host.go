// SPDX-License-Identifier: BSD-2-Clause

package kvm

import (
	"fmt"
	"unsafe"
)

// Log writes one line to the log of the request, or of the program while it boots.
func Log(line string) {
	bytes := []byte(line)
	host(callLog, uintptr(at(bytes)), uintptr(len(bytes)), 0, 0, 0, 0)
}

// Logf is Log with formatting.
func Logf(format string, arguments ...any) { Log(fmt.Sprintf(format, arguments...)) }

// SharedMemory is what the configuration key shared_memory gives the program: the same in all VMs, zero when main()
// starts, never reset. Every VM may write to it while another one reads: use sync/atomic (SharedUint64), and do not
// believe what was checked before it was copied.
func SharedMemory() []byte {
	begin, end := call(callSharedMemoryArea, 0, 0, 0, 0, 0, 0)
	if int(begin) <= 0 || end <= begin {
		return nil
	}
	var memory []byte
	// It is no memory of Go's, so that an address is as good as a pointer.
	*(*[3]uintptr)(unsafe.Pointer(&memory)) = [3]uintptr{begin, end - begin, end - begin}
	return memory
}

// SharedUint64 is word `index` of shared memory, for sync/atomic; nil when it has not so many.
func SharedUint64(index int) *uint64 {
	memory := SharedMemory()
	if index < 0 || index >= len(memory)/8 {
		return nil
	}
	return (*uint64)(unsafe.Pointer(&memory[index*8]))
}
