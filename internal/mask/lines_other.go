//go:build !amd64

package mask

func xorLines(dst, src []byte, key uint32) { xorLinesInGo(dst, src, key) }
