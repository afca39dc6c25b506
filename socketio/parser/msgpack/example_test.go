package msgpack_test

import (
	"fmt"

	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// The tags for JSON serve both codecs.
func Example() {
	type picture struct {
		Name   string `json:"name"`
		Pixels []byte `json:"pixels"`
	}
	out := parser.Packet{Type: parser.Event, Data: parser.EventData("picture", picture{"dot.png", []byte{1, 2, 3}})}
	messages, err := msgpack.Codec.Encode(nil, nil, &out)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d message, %d bytes\n", len(messages), len(messages[0].Data))

	var in parser.Packet
	if _, err = msgpack.Codec.NewDecoder(nil).Add(&in, true, messages[0].Data); err != nil {
		fmt.Println(err)
		return
	}
	var p picture
	err = in.Data.Bind(&p)
	fmt.Println(in.Data.Name(), p, err)
	// Output:
	// 1 message, 53 bytes
	// picture {dot.png [1 2 3]} <nil>
}
