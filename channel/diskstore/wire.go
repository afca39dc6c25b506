package diskstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Records and headers are: a version byte, fields, and a CRC-32C of the key and all before it, little-endian. Lengths and
// numbers are varints.

const formatVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends the checksum of key and dst[from:] to dst.
func seal(dst []byte, from int, key []byte) []byte {
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, dst[from:])
	return binary.LittleEndian.AppendUint32(dst, sum)
}

// unseal checks the checksum and the version, and gives what is between them.
func unseal(key, value []byte) ([]byte, error) {
	n := len(value) - 4
	if n < 1 {
		return nil, fmt.Errorf("%w: a record of %d bytes", ErrDamaged, len(value))
	}
	if crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[:n]) != binary.LittleEndian.Uint32(value[n:]) {
		return nil, fmt.Errorf("%w: a record's checksum is wrong", ErrDamaged)
	}
	if value[0] != formatVersion {
		return nil, fmt.Errorf("%w: a record of version %d", ErrNewer, value[0])
	}
	return value[1:n], nil
}

// decoder takes fields off the front of b. After the first that is not there everything is zero, and bad set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() {
	d.b, d.bad = nil, true
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}
