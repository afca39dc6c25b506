package deflate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// nodeScript runs messages from its standard input through zlib, as the "ws" module does. Arguments: inflate or deflate, the
// window bits, the level, whether to keep the context. Messages, both ways, follow their length in four bytes.
const nodeScript = `
const zlib = require('zlib');
const [mode, bits, level, takeover] = process.argv.slice(1);
const tail = Buffer.from([0, 0, 0xff, 0xff]);
const options = {windowBits: +bits, level: +level};
let stream, chunks;
function open() {
  stream = mode === 'inflate' ? zlib.createInflateRaw(options) : zlib.createDeflateRaw(options);
  stream.on('data', c => chunks.push(c));
  stream.on('error', e => { console.error(e); process.exit(1); });
}
function run(message) {
  return new Promise(done => {
    if (!stream || takeover !== 'true') open();
    chunks = [];
    const end = () => {
      const out = Buffer.concat(chunks);
      done(mode === 'inflate' ? out : out.subarray(0, out.length - 4));
    };
    stream.write(message);
    if (mode === 'inflate') {
      stream.write(tail);
      stream.flush(end);
    } else {
      stream.flush(zlib.constants.Z_SYNC_FLUSH, end);
    }
  });
}
(async () => {
  const input = require('fs').readFileSync(0);
  for (let at = 0; at < input.length;) {
    const n = input.readUInt32LE(at);
    const out = await run(input.subarray(at + 4, at + 4 + n));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(out.length);
    process.stdout.write(Buffer.concat([length, out]));
    at += 4 + n;
  }
})();
`

// node runs messages through zlib in Node.js.
func node(t *testing.T, mode string, bits, level int, takeover bool, messages [][]byte) (results [][]byte) {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node in the path: zlib is not tested against")
	}
	var in []byte
	for _, m := range messages {
		in = append(binary.LittleEndian.AppendUint32(in, uint32(len(m))), m...)
	}
	command := exec.CommandContext(t.Context(), path, "-e", nodeScript, mode, fmt.Sprint(bits), fmt.Sprint(level), fmt.Sprint(takeover))
	command.Stdin = bytes.NewReader(in)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	for len(out) >= 4 {
		n := int(binary.LittleEndian.Uint32(out))
		results = append(results, out[4:4+n])
		out = out[4+n:]
	}
	if len(results) != len(messages) {
		t.Fatalf("%d messages came back of %d", len(results), len(messages))
	}
	return results
}

// zlib reads what is compressed here, with no more of a window than was agreed, and what it compresses is read here.
func TestNode(t *testing.T) {
	messages := series()
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		for _, takeover := range []bool{false, true} {
			if !takeover && bits%3 > 0 {
				continue
			}
			level := []int{1, 6, 9}[bits%3]
			t.Run(fmt.Sprintf("bits %d, level %d, takeover %v", bits, level, takeover), func(t *testing.T) {
				var send, receive *Window
				if takeover {
					send, receive = NewWindow(bits), NewWindow(bits)
				}
				var compressed [][]byte
				for _, m := range messages {
					compressed = append(compressed, Compress(nil, m, level, bits, send))
				}
				for i, got := range node(t, "inflate", bits, 0, takeover, compressed) {
					if !bytes.Equal(got, messages[i]) {
						t.Fatalf("message %d: zlib inflates %d bytes, want %d", i, len(got), len(messages[i]))
					}
				}
				for i, src := range node(t, "deflate", bits, level, takeover, messages) {
					got, err := Decompress(nil, src, noLimit, bits, receive)
					if err != nil || !bytes.Equal(got, messages[i]) {
						t.Fatalf("message %d from zlib: %d of %d bytes, %v", i, len(got), len(messages[i]), err)
					}
				}
			})
		}
	}
}
