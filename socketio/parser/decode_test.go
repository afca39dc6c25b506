package parser_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"baro.dev/socketio/parser"
)

// What the official decoder refuses, and the little more that this one does.
func TestRefused(t *testing.T) {
	const placeholder = `{"_placeholder":true,"num":0}`
	for _, test := range []struct {
		text   string
		part   parser.Part
		offset int
	}{
		{``, parser.PartType, 0},
		{`7`, parser.PartType, 0},
		{`abc`, parser.PartType, 0},
		{`{"type":2}`, parser.PartType, 0},
		{"2[\"\xff\"]", parser.PartMessage, 3},
		// attachments
		{`5["a"]`, parser.PartAttachments, 1},
		{`5-["a"]`, parser.PartAttachments, 1},
		{`50-["a"]`, parser.PartAttachments, 1},
		{`5-1-["a"]`, parser.PartAttachments, 1},
		{`51`, parser.PartAttachments, 1},
		{`51.5-["a"]`, parser.PartAttachments, 1},
		{`5 1-["a"]`, parser.PartAttachments, 1},
		{`511-["a"]`, parser.PartAttachments, 1},
		{`51000000000-["a"]`, parser.PartAttachments, 1},
		{`599999999999999999999999999999-["a"]`, parser.PartAttachments, 1},
		{`6-1[]`, parser.PartAttachments, 1},
		// namespace
		{`0/` + strings.Repeat("a", parser.MaxNamespace), parser.PartNamespace, 1},
		// id
		{`3["a"]`, parser.PartID, 1},
		{`3abc["a"]`, parser.PartID, 1},
		{`3-1["a"]`, parser.PartID, 1},
		{`29007199254740992["a"]`, parser.PartID, 1},
		{`2999999999999999999999999999["a"]`, parser.PartID, 1},
		{`01{}`, parser.PartID, 1},
		{`17`, parser.PartID, 1},
		// payload
		{`2`, parser.PartPayload, 1},
		{`31`, parser.PartPayload, 2},
		{`2/chat`, parser.PartPayload, 6},
		{`2/chat["a"]`, parser.PartPayload, 11},
		{`2abc["a"]`, parser.PartPayload, 1},
		{`2 ["a"]`, parser.PartPayload, 1},
		{`2{}`, parser.PartPayload, 1},
		{`2"a"`, parser.PartPayload, 1},
		{`2null`, parser.PartPayload, 1},
		{`2["a"`, parser.PartPayload, 5},
		{`2["a",]`, parser.PartPayload, 6},
		{`2["a"]]`, parser.PartPayload, 6},
		{`2["a" 1]`, parser.PartPayload, 6},
		{`2["a",{"x":1e}]`, parser.PartPayload, 13},
		{`2["a",` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `]`, parser.PartPayload, 6 + 10_000},
		{`0[]`, parser.PartPayload, 1},
		{`0"a"`, parser.PartPayload, 1},
		{`0null`, parser.PartPayload, 1},
		{`0{}{}`, parser.PartPayload, 3},
		{`0/chat,5`, parser.PartID, 7},
		{`1{}`, parser.PartPayload, 1},
		{`1"a"`, parser.PartPayload, 1},
		{`4[]`, parser.PartPayload, 1},
		{`4true`, parser.PartPayload, 1},
		// event name
		{`2[]`, parser.PartEventName, 2},
		{`2[{}]`, parser.PartEventName, 2},
		{`2[{"toString":"a"}]`, parser.PartEventName, 2},
		{`2[["a"]]`, parser.PartEventName, 2},
		{`2[null]`, parser.PartEventName, 2},
		{`2[true]`, parser.PartEventName, 2},
		{`2["connect"]`, parser.PartEventName, 2},
		{`2[ "connect_error"]`, parser.PartEventName, 3},
		{`2["disconnect"]`, parser.PartEventName, 2},
		{`2["disconnecting"]`, parser.PartEventName, 2},
		{`2["newListener"]`, parser.PartEventName, 2},
		{`2["removeListener"]`, parser.PartEventName, 2},
		{`2["\u0063onnect"]`, parser.PartEventName, 2},
		{`51-["disconnect",` + placeholder + `]`, parser.PartEventName, 4},
		// placeholders
		{`51-["a",{"_placeholder":true,"num":1}]`, parser.PartPlaceholder, 8},
		{`51-["a",{"_placeholder":true,"num":-1}]`, parser.PartPlaceholder, 8},
		{`51-["a",{"_placeholder":true,"num":0.5}]`, parser.PartPlaceholder, 8},
		{`51-["a",{"_placeholder":true,"num":1e9}]`, parser.PartPlaceholder, 8},
		{`51-["a",{"_placeholder":true,"num":1e400}]`, parser.PartPlaceholder, 8},
		{`51-["a",{"_placeholder":true,"num":"0"}]`, parser.PartPlaceholder, 8},
		{`51-["a",{"_placeholder":true}]`, parser.PartPlaceholder, 8},
		{`51-["a",{"num":0,"_placeholder":false,"\u005fplaceholder":true,"num":7}]`, parser.PartPlaceholder, 8},
		{`51-["a",` + placeholder + `,[{"x":` + placeholder + `}]]`, parser.PartPlaceholder, 44},
	} {
		p, err := add(parser.JSON.NewDecoder(nil), false, []byte(test.text))
		name := test.text[:min(len(test.text), 60)]
		wrong, ok := errors.AsType[*parser.Error](err)
		if !ok || p != nil {
			t.Errorf("%s: packet %v, error %v", name, p, err)
			continue
		}
		if wrong.Part != test.part || wrong.Offset != test.offset || !errors.Is(err, parser.ErrProtocol) {
			t.Errorf("%s: %v (offset %d), want %s at %d", name, err, wrong.Offset, test.part, test.offset)
		}
	}
}

// What the official decoder takes as well.
func TestOddButAccepted(t *testing.T) {
	for text, want := range map[string]string{
		`1/custom`:                             `1/custom,`,
		`0/random`:                             `0/random,`,
		`0/chat?token=abc`:                     `0/chat?token=abc,`,
		`0/,`:                                  `0`,
		`0{ "a" : 1 } `:                        `0{ "a" : 1 }`,
		`2[ "a" , 1e308 , -0.0 ]`:              `2[ "a" , 1e308 , -0.0 ]`,
		`3007[ ]`:                              `37[]`,
		`2[1,"x"]`:                             `2[1,"x"]`,
		`2[""]`:                                `2[""]`,
		`2["__proto__",{"a":1,"a":2}]`:         `2["__proto__",{"a":1,"a":2}]`,
		`29007199254740991["a"]`:               `29007199254740991["a"]`,
		`4/nsp,"text"`:                         `4/nsp,"text"`,
		`4`:                                    `4`,
		`2["a",{"_placeholder":true,"num":9}]`: `2["a",{"_placeholder":true,"num":9}]`, // plain: no attachments
	} {
		p := receive(t, parser.JSON, messages(text))
		if got := show(encode(t, parser.JSON, p)); got != want {
			t.Errorf("%s: relayed as %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`51-["a",{"num":0,"x":[1],"_placeholder":true}]`:                                       `51-["a",{"_placeholder":true,"num":0}] <41>`,
		`51-["a",{"\u005fplaceholder":true,"num":0e1}]`:                                        `51-["a",{"_placeholder":true,"num":0}] <41>`,
		`51-["a",{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":9}}]`:             `51-["a",{"_placeholder":true,"num":0}] <41>`,
		`51-["a",{"_placeholder":"true","num":9}, ["_placeholder", "num"]]`:                    `2["a",{"_placeholder":"true","num":9}, ["_placeholder", "num"]]`,
		`51-["a",{"_placeholder":true,"_placeholder":1}]`:                                      `2["a",{"_placeholder":true,"_placeholder":1}]`,
		`51-/n,4["\"_placeholder\"",{"k\\":"\\\"","y":[{"_placeholder":true,"num":0}, "z" ]}]`: `51-/n,4["\"_placeholder\"",{"k\\":"\\\"","y":[{"_placeholder":true,"num":0}, "z" ]}] <41>`,
	} {
		p := receive(t, parser.JSON, messages(text, "A"))
		if got := show(encode(t, parser.JSON, p)); got != want {
			t.Errorf("%s: relayed as\n%s, want\n%s", text, got, want)
		}
	}
}

func TestOrder(t *testing.T) {
	binary := messages(`52-["a",{"_placeholder":true,"num":1}]`, "x", "y")
	for name, test := range map[string]struct {
		in   []parser.Message
		want parser.Part
	}{
		"binary when none is due":   {messages(`2["a"]`, "x"), parser.PartAttachment},
		"binary first":              {binary[1:2], parser.PartAttachment},
		"text while some are due":   {append(binary[:2:2], binary[0]), parser.PartMessage},
		"one attachment too many":   {append(binary[:3:3], binary[2]), parser.PartAttachment},
		"another namespace between": {append(binary[:2:2], messages(`2/other,["b"]`)...), parser.PartMessage},
	} {
		d := parser.JSON.NewDecoder(nil)
		for i, m := range test.in {
			_, err := add(d, m.Binary, m.Data)
			wrong, _ := errors.AsType[*parser.Error](err)
			if last := i == len(test.in)-1; last != (err != nil) || last && wrong.Part != test.want {
				t.Errorf("%s: message %d: %v", name, i, err)
			}
		}
		// It forgot what was pending.
		if p, err := add(d, false, []byte(`2["a"]`)); err != nil || p == nil || d.Due() != 0 {
			t.Errorf("%s: afterwards %v, %v", name, p, err)
		}
	}
}

func TestLimits(t *testing.T) {
	two := messages(`52-["a",{"_placeholder":true,"num":0}]`, "12345", "67890")
	all := len(two[0].Data) + 10
	for _, test := range []struct {
		limits  parser.Limits
		refused int // the message that is refused; -1: none
	}{
		{parser.Limits{}, -1},
		{parser.Limits{MaxAttachments: 2, MaxBytes: all}, -1},
		{parser.Limits{MaxAttachments: 1}, 0},
		{parser.Limits{MaxAttachments: -1}, 0},
		{parser.Limits{MaxBytes: len(two[0].Data) - 1}, 0},
		{parser.Limits{MaxBytes: all - 6}, 1},
		{parser.Limits{MaxBytes: all - 1}, 2},
	} {
		d := parser.JSON.NewDecoder(&test.limits)
		refused := -1
		for i, m := range two {
			if _, err := add(d, m.Binary, m.Data); err != nil {
				if !errors.Is(err, parser.ErrTooLarge) || !errors.Is(err, parser.ErrProtocol) || d.Due() != 0 {
					t.Errorf("%+v: %v", test.limits, err)
				}
				refused = i
				break
			}
		}
		if refused != test.refused {
			t.Errorf("%+v: message %d was refused, want %d", test.limits, refused, test.refused)
		}
	}
	var ten strings.Builder
	for i := range 10 {
		fmt.Fprintf(&ten, `,{"_placeholder":true,"num":%d}`, i)
	}
	receive(t, parser.JSON, messages(`510-["a"`+ten.String()+`]`, strings.Split("0123456789", "")...))
}

// Every beginning of a packet is refused, or is a packet by itself.
func TestCut(t *testing.T) {
	for _, text := range []string{
		`52-/admin,456["a\u00e9\"",-1.5e+3,[true,{"x":null}],{"_placeholder":true,"num":0},false]`,
		`0/admin,{"token":"\\"}`,
		`4/admin,{"message":"no","data":[{}]}`,
	} {
		for i := range len(text) {
			p, err := add(parser.JSON.NewDecoder(nil), false, []byte(text[:i]))
			if err == nil && (p == nil || p.Type == parser.Event) {
				t.Errorf("%s: taken for a packet: %+v", text[:i], p)
			}
		}
	}
}

func TestPeek(t *testing.T) {
	for _, text := range []string{``, `7`, `x`, `5["a"]`, `50-["a"]`, `6`} {
		if typ, n, ok := parser.JSON.Peek(false, []byte(text)); ok {
			t.Errorf("%s: %v, %d", text, typ, n)
		}
	}
	if _, _, ok := parser.JSON.Peek(true, []byte(`2["a"]`)); ok {
		t.Error("a binary message begins no packet")
	}
}

func TestErrorsName(t *testing.T) {
	for text, want := range map[string]string{
		`2["a",{"x":1e}]`: `parser: payload at byte 13: '}' where a digit should be`,
		`2["a"`:           `parser: payload at byte 5: neither a comma nor the end of the array`,
		`511-["a"]`:       `parser: number of attachments at byte 1: 11, and 10 are allowed`,
		`2["connect"]`:    `parser: event name at byte 2: "connect" is reserved`,
		`9`:               `parser: packet type at byte 0: it is not known`,
	} {
		_, err := add(parser.JSON.NewDecoder(nil), false, []byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	_, err := add(parser.JSON.NewDecoder(nil), true, nil)
	if want := "parser: attachment: none is due"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
