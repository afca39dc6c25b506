package strictjson_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/strictjson"
)

type content struct {
	Data *string         `json:"data"`
	JSON json.RawMessage `json:"json"`
}

type message struct {
	Channel string `json:"channel"`
	content
	Exclude bool      `json:"exclude,omitempty"`
	Seconds float64   `json:"seconds"`
	Time    time.Time `json:"time"`
}

type batch struct {
	Messages []message `json:"messages" max:"3"`
}

var (
	messages = strictjson.For[message]()
	batches  = strictjson.For[batch]()
)

func TestRead(t *testing.T) {
	text := " {\"channel\" : \"a\\\"b\" ,\"\\u0064ata\":\"x\",\"json\":{\"a\":[1,{\"a\":null,\"a\":\"}\"}]} ,\"exclude\":true,\"seconds\":-1.5e3}\n"
	m, err := messages.Read([]byte(text))
	x := "x"
	want := message{"a\"b", content{&x, json.RawMessage(`{"a":[1,{"a":null,"a":"}"}]}`)}, true, -1500, time.Time{}}
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := messages.Read([]byte(`{"json":null}`)); err != nil || string(m.JSON) != "null" {
		t.Errorf("%+v, %v", m, err)
	}
	b, err := batches.Read([]byte(`{"messages":[{},{} , {"channel":"c"}]}`))
	if err != nil || len(b.Messages) != 3 || b.Messages[2].Channel != "c" {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestMistakes(t *testing.T) {
	deep := func(n int) string {
		return `{"messages":[{"json":` + strings.Repeat(`[`, n) + strings.Repeat(`]`, n) + `}]}`
	}
	if _, err := batches.Read([]byte(deep(strictjson.MaxDepth - 3))); err != nil {
		t.Error(err)
	}
	for _, test := range []struct{ text, want string }{
		{``, `it is empty`},
		{` `, `unexpected end of JSON input`},
		{`{"messages":[]`, `at byte 14: unexpected end of JSON input`},
		{`{"messages":[]} x`, `at byte 17: invalid character 'x' after top-level value`},
		{`{}{}`, `after top-level value`},
		{`{'messages':[]}`, `invalid character '\''`},
		{`{"messages":[],}`, `at byte 16`},
		{`null`, `it is null`},
		{`[]`, `it must be an object`},
		{`"x"`, `it must be an object`},
		{`1`, `it must be an object`},
		{"{\"messages\":\"\xff\"}", `not valid UTF-8`},
		{`{"messages":[{"channel":"\ud83d"}]}`, `at byte 26: half of a surrogate pair`},
		{`{"messages":[{"json":["\ude42"]}]}`, `half of a surrogate pair`},
		{`{"messages":{}}`, `messages: it must be an array`},
		{`{"messages":null}`, `messages: it is null; leave it out instead`},
		{`{"messages":[0]}`, `messages[0]: it must be an object`},
		{`{"messages":[{},{"channel":1}]}`, `messages[1].channel: it must be a string`},
		{`{"messages":[{"exclude":"no"}]}`, `messages[0].exclude: it must be true or false`},
		{`{"messages":[{"seconds":"1"}]}`, `messages[0].seconds: it must be a number`},
		{`{"messages":[{"time":null}]}`, `messages[0].time: it is null`},
		{`{"messages":[{"time":"late"}]}`, `late`},
		{`{"messages":[{"seconds":1e999}]}`, `seconds`},
		{`{"messages":[],"messages":[]}`, `the member "messages" is there twice`},
		{`{"messages":[],"messag\u0065s":[]}`, `the member "messages" is there twice`},
		{`{"messages":[{"chanel":"a"}]}`, `messages[0]: there is no member "chanel" here; did you mean "channel"?`},
		{`{"Messages":[]}`, `there is no member "Messages" here; did you mean "messages"?`},
		{`{"messages":[{"dtaa":"a"}]}`, `did you mean "data"?`},
		{`{"messages":[{"zzzzzz":"a"}]}`, `there are channel, data, json, exclude, seconds, time`},
		{`{"` + strings.Repeat("m", 10_000) + `":1}`, `there are messages`},
		{`{"messages":[{},{},{},{}]}`, `messages: it has more than 3 elements`},
		{`{"messages":[{},{},{},` + strings.Repeat("{},", 100_000) + `{}]}`, `messages: it has more than 3 elements`},
		{deep(strictjson.MaxDepth - 2), `messages[0].json: arrays and objects are within one another more than 100 deep`},
		{deep(9000), `more than 100 deep`},
		{deep(1_000_000), `exceeded max depth`},
	} {
		_, err := batches.Read([]byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 200 {
			t.Errorf("%.60s: %v, want %s", test.text, err, test.want)
		}
	}
}

// What is taken is what encoding/json takes, and the walk ends within what it was given.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"messages":[{"channel":"a","json":{"a":[1,"\"",null]},"exclude":false,"seconds":1}]}`))
	f.Add([]byte(` { "messages" : [ { } , { "data" : "\u0000" } ] } `))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := batches.Read(data)
		var want batch
		lax := json.Unmarshal(data, &want)
		if err == nil && (lax != nil || !reflect.DeepEqual(got, want)) {
			t.Errorf("%+v; encoding/json: %+v, %v", got, want, lax)
		}
	})
}
