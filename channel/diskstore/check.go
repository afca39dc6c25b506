package diskstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

// The buckets of the file.
var (
	aboutBucket    = []byte("about") // what the file is
	channelsBucket = []byte("channels")
	formatKey      = []byte("format") // in aboutBucket: the version of the format, a varint
)

// contents is where things are in a file.
type contents struct {
	*pages
	about, channels []byte // the values of the buckets
}

// readContents reads where things are in a file, nil where they are not to be found.
func readContents(f *os.File) (*contents, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c := &contents{pages: readPages(f, info.Size())}
	c.read()
	return c, nil
}

func (c *contents) read() {
	if c.root == 0 {
		return
	}
	c.each(c.root, func(e element) {
		switch {
		case e.bucket && string(e.key) == string(aboutBucket):
			c.about = bytes.Clone(e.value)
		case e.bucket && string(e.key) == string(channelsBucket):
			c.channels = bytes.Clone(e.value)
		default:
			c.damaged("the file has %q, which nobody put there", e.key)
		}
	})
	for _, b := range []struct {
		name  []byte
		value []byte
	}{{aboutBucket, c.about}, {channelsBucket, c.channels}} {
		if b.value == nil {
			c.damaged("the file has no %s", b.name)
		}
	}
}

// check reads the whole file, and says in err what is wrong with it. Where that is ErrNewer it is best left alone.
func (c *contents) check() error {
	if c.about != nil {
		version := uint64(0)
		c.bucket(c.about, func(e element) {
			if string(e.key) == string(formatKey) {
				version, _ = binary.Uvarint(e.value)
			}
		})
		if version > formatVersion {
			return fmt.Errorf("%w: it has the format %d, known is %d", ErrNewer, version, formatVersion)
		}
		if version == 0 {
			c.damaged("the format is not known")
		}
	}
	if c.channels != nil {
		ch := checker{contents: c}
		c.bucket(c.channels, ch.element)
		ch.end()
	}
	return c.err
}

// checker compares the headers of channels with their messages.
type checker struct {
	*contents
	name string
	header
	next  uint64 // offset
	bytes int64
	lost  bool // what is wrong with the channel was told
}

func (c *checker) wrong(format string, args ...any) {
	if !c.lost {
		c.lost = true
		c.damaged("channel %q: %s", c.name, fmt.Sprintf(format, args...))
	}
}

func (c *checker) element(e element) {
	name, offset, ok := splitKey(e.key)
	if !ok || e.bucket {
		c.damaged("there is a key %q", e.key)
		return
	}
	if string(name) != c.name {
		c.end()
		c.name, c.header, c.next, c.bytes, c.lost = string(name), header{}, 0, 0, false
		if offset != 0 {
			c.wrong("there is no header")
		}
	}
	if offset == 0 {
		h, err := parseHeader(e.key, e.value)
		if err != nil {
			c.wrong("%v", err)
		}
		c.header, c.next = h, h.first
		return
	}
	r, err := parseRecord(e.key, e.value)
	switch {
	case err != nil:
		c.wrong("message %d: %v", offset, err)
	case offset != c.next || string(r.epoch) != c.epoch:
		c.wrong("message %d follows %d", offset, c.next-1)
	}
	c.next++
	c.bytes += r.size()
}

func (c *checker) end() {
	if c.name != "" && (c.next != c.last+1 || c.bytes != c.header.bytes) {
		c.wrong("there are %d bytes of messages up to %d, where there should be %d up to %d", c.bytes, c.next-1, c.header.bytes, c.last)
	}
}
