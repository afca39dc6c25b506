package diskstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// This file reads what bbolt wrote, believing nothing: bbolt itself is only let near a file that was read to its end
// without a complaint. The format is version 2 of bbolt's, in the byte order of the machine: pages of 4096 bytes, or
// several of them in a row; pages 0 and 1 are metas, of which the one with the higher transaction holds; from its root
// there are trees of branch and leaf pages, a tree within a tree is a bucket.

const (
	pageSize      = 4096
	pageHeader    = 16 // id, flags, count, overflow
	elementSize   = 16 // of branches and leaves alike
	bucketHeader  = 16 // root, sequence
	maxPageBytes  = 2 * maxMessageBytes
	maxDepth      = 64
	metaMagic     = 0xED0CDAED
	metaVersion   = 2
	metaSumOffset = 56 // of the checksum, which is of all before it

	branchPage = 1
	leafPage   = 2
	metaPage   = 4
	isBucket   = 1 // flag of a leaf's element

	noFreelist = ^uint64(0)
)

// pages is a file being read.
type pages struct {
	file io.ReaderAt
	size int64

	root, end uint64 // the root page, and the first behind all pages in use
	doubtful  bool   // what holds may not be the newest transaction
	used      int64  // pages that were reached
	seen      []uint64
	buffer    [pageSize]byte // the page that is being read

	unreadable int   // pages, or elements of them
	err        error // the first thing that was wrong, ErrDamaged
}

func (p *pages) damaged(format string, args ...any) {
	p.unreadable++
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
	}
}

// readPages reads the metas. Where neither is whole there are no pages.
func readPages(file io.ReaderAt, size int64) *pages {
	p := &pages{file: file, size: size}
	var best, freelist uint64
	valid := 0
	for i := range int64(2) {
		var page [pageSize]byte
		if n, _ := file.ReadAt(page[:], i*pageSize); n < len(page) {
			p.damaged("page %d is not there", i)
			continue
		}
		meta := page[pageHeader:]
		u32, u64 := binary.NativeEndian.Uint32, binary.NativeEndian.Uint64
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:metaSumOffset]) // cannot fail
		tx := u64(meta[48:])
		if u64(page[0:]) != uint64(i) || binary.NativeEndian.Uint16(page[8:]) != metaPage || u32(meta[0:]) != metaMagic || u32(meta[4:]) != metaVersion ||
			u32(meta[8:]) != pageSize || u64(meta[metaSumOffset:]) != sum.Sum64() || tx%2 != uint64(i) {
			p.damaged("page %d is no valid meta page", i)
			continue
		}
		valid++
		if valid == 1 || tx > best {
			best = tx
			p.root, freelist, p.end = u64(meta[16:]), u64(meta[32:]), u64(meta[40:])
		}
	}
	if valid > 0 && freelist != noFreelist {
		// Only before the first transaction there is one.
		p.damaged("there is a list of free pages")
	}
	p.doubtful = valid == 1
	if inFile := uint64(size / pageSize); p.end > inFile {
		p.damaged("the file has %d bytes, %d pages of it are in use", size, p.end)
		p.end = inFile
	}
	p.seen = make([]uint64, p.end/64+1)
	return p
}

// element is what a leaf has.
type element struct {
	bucket     bool
	key, value []byte // valid until the call ends, in which no other page may be read
}

// each calls f with every element of a tree that can be read, in order.
func (p *pages) each(root uint64, f func(element)) {
	p.walk(root, nil, nil, 0, f)
}

// bucket calls f with every element of what is in a bucket's value.
func (p *pages) bucket(value []byte, f func(element)) {
	if len(value) < bucketHeader {
		p.damaged("a bucket of %d bytes", len(value))
		return
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		p.each(root, f)
		return
	}
	value = value[bucketHeader:]
	if len(value) < pageHeader || binary.NativeEndian.Uint16(value[8:]) != leafPage {
		p.damaged("a bucket without a page")
		return
	}
	p.leaf(0, value, nil, nil, f)
}

// walk reads a page whose keys are from low to before high, nil being no bound.
func (p *pages) walk(id uint64, low, high []byte, depth int, f func(element)) {
	page := p.page(id, depth)
	if page == nil {
		return
	}
	if binary.NativeEndian.Uint16(page[8:]) == leafPage {
		p.leaf(id, page, low, high, f)
		return
	}
	type child struct {
		id  uint64
		key []byte
	}
	var children []child
	for i := range int(binary.NativeEndian.Uint16(page[10:])) {
		at := pageHeader + i*elementSize
		if at+elementSize > len(page) {
			p.damaged("page %d has more elements than room", id)
			break
		}
		e := page[at:]
		key, _, ok := cut(e, binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:]), 0)
		if !ok || !within(key, low, high) || (len(children) > 0 && bytes.Compare(key, children[len(children)-1].key) <= 0) {
			p.damaged("a key of page %d is not in its place", id)
			continue
		}
		children = append(children, child{binary.NativeEndian.Uint64(e[8:]), key})
	}
	if len(children) == 0 {
		p.damaged("page %d has no children", id)
	}
	for i, c := range children {
		end := high
		if i+1 < len(children) {
			end = children[i+1].key
		}
		p.walk(c.id, c.key, end, depth+1, f)
	}
}

// page reads a branch or a leaf, with what belongs to it. Each is read once. A leaf is valid until the next call.
func (p *pages) page(id uint64, depth int) []byte {
	if depth > maxDepth {
		p.damaged("page %d is too deep", id)
		return nil
	}
	head := p.buffer[:]
	if id < 2 || id >= p.end {
		p.damaged("there is no page %d", id)
		return nil
	}
	if _, err := p.file.ReadAt(head, int64(id)*pageSize); err != nil {
		p.damaged("page %d: %v", id, err)
		return nil
	}
	flags, more := binary.NativeEndian.Uint16(head[8:]), uint64(binary.NativeEndian.Uint32(head[12:pageHeader]))
	if named := binary.NativeEndian.Uint64(head); named != id && flags == branchPage {
		// Where it leads to may be good; or old.
		p.damaged("page %d says that it is %d", id, named)
		p.doubtful = true
	} else if named != id || (flags != branchPage && flags != leafPage) {
		p.damaged("page %d is none", id)
		return nil
	}
	if more >= p.end-id || (more+1)*pageSize > maxPageBytes {
		p.damaged("page %d is %d pages long", id, more+1)
		return nil
	}
	for i := id; i <= id+more; i++ {
		if p.seen[i/64]&(1<<(i%64)) != 0 {
			p.damaged("page %d is in two places", i)
			return nil
		}
		p.seen[i/64] |= 1 << (i % 64)
	}
	p.used += int64(more) + 1
	if flags == leafPage && more == 0 {
		return head
	}
	page := make([]byte, (more+1)*pageSize)
	if _, err := p.file.ReadAt(page, int64(id)*pageSize); err != nil {
		p.damaged("page %d: %v", id, err)
		return nil
	}
	return page
}

func (p *pages) leaf(id uint64, page, low, high []byte, f func(element)) {
	var last []byte
	for i := range int(binary.NativeEndian.Uint16(page[10:])) {
		at := pageHeader + i*elementSize
		if at+elementSize > len(page) {
			p.damaged("page %d has more elements than room", id)
			return
		}
		e := page[at:]
		flags := binary.NativeEndian.Uint32(e)
		key, value, ok := cut(e, binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:]))
		if !ok || flags > isBucket || !within(key, low, high) || (last != nil && bytes.Compare(key, last) <= 0) {
			p.damaged("an element of page %d is not in its place", id)
			continue
		}
		last = key
		f(element{bucket: flags == isBucket, key: key, value: value})
	}
}

// cut gives the key and the value that an element points to, which begins at b[0].
func cut(b []byte, pos, keySize, valueSize uint32) (key, value []byte, ok bool) {
	from, mid := uint64(pos), uint64(pos)+uint64(keySize)
	end := mid + uint64(valueSize)
	if keySize == 0 || from < elementSize || end > uint64(len(b)) {
		return nil, nil, false
	}
	return b[from:mid], b[mid:end], true
}

func within(key, low, high []byte) bool {
	return bytes.Compare(key, low) >= 0 && (high == nil || bytes.Compare(key, high) < 0)
}
