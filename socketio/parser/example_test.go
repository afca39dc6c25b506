package parser_test

import (
	"fmt"

	"baro.dev/socketio/parser"
)

func Example() {
	type picture struct {
		Name   string `json:"name"`
		Pixels []byte `json:"pixels"`
	}
	out := parser.Packet{
		Type:      parser.Event,
		Namespace: "/gallery",
		Data:      parser.EventData("picture", picture{"dot.png", []byte{1, 2, 3}}),
	}
	messages, err := parser.JSON.Encode(nil, nil, &out)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range messages {
		if m.Binary {
			fmt.Println(m.Data)
		} else {
			fmt.Println(string(m.Data))
		}
	}

	decoder := parser.JSON.NewDecoder(nil)
	for _, m := range messages {
		var in parser.Packet
		complete, err := decoder.Add(&in, m.Binary, m.Data)
		if err != nil {
			fmt.Println(err)
			return
		}
		if !complete {
			continue // attachments are due
		}
		var p picture
		err = in.Data.Bind(&p)
		fmt.Println(in.Namespace, in.Data.Name(), p, err)
	}
	// Output:
	// 51-/gallery,["picture",{"name":"dot.png","pixels":{"_placeholder":true,"num":0}}]
	// [1 2 3]
	// /gallery picture {dot.png [1 2 3]} <nil>
}

// Arguments that came can be sent on, as they were written.
func ExampleData_Value() {
	var in parser.Packet
	_, _ = parser.JSON.NewDecoder(nil).Add(&in, false, []byte(`27["chat","ada",{"price":1.50}]`))
	fmt.Println(in.Data.Name(), in.Data.Len())

	out := parser.Packet{Type: parser.Event, Data: parser.EventData("said", in.Data.Value(0), in.Data.Value(1), true)}
	messages, _ := parser.JSON.Encode(nil, nil, &out)
	fmt.Println(string(messages[0].Data))

	ack := parser.Packet{Type: parser.Ack, ID: in.ID, HasID: true, Data: parser.Values("ok")}
	messages, _ = parser.JSON.Encode(nil, nil, &ack)
	fmt.Println(string(messages[0].Data))
	// Output:
	// chat 2
	// 2["said","ada",{"price":1.50},true]
	// 37["ok"]
}

func ExampleData_Bind() {
	var in parser.Packet
	_, _ = parser.JSON.NewDecoder(nil).Add(&in, false, []byte(`2["order","tea",2]`))
	var what string
	var count int
	fmt.Println(in.Data.Bind(&what, &count), what, count)
	fmt.Println(in.Data.Bind(&count))
	fmt.Println(in.Data.Bind(nil, nil, &what))
	// Output:
	// <nil> tea 2
	// parser: argument 0: json: cannot unmarshal string into Go value of type int
	// parser: argument 2: missing
}

// Connection state recovery adds an offset to an event that is encoded already.
func ExampleCodec_appendArgument() {
	p := parser.Packet{Type: parser.Event, Data: parser.EventData("hi", 1)}
	messages, _ := parser.JSON.Encode(nil, nil, &p)
	messages, _ = parser.JSON.AppendArgument(messages, "Q83Mk-d")
	fmt.Println(string(messages[0].Data))
	// Output: 2["hi",1,"Q83Mk-d"]
}
