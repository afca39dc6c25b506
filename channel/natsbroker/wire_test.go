package natsbroker

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
)

func sample() record {
	after := tail{seq: 7, epoch: "EPOCH", end: 62, total: 999, time: 1, marks: [len(steps)]mark{{seq: 5, offset: 60}}}
	return after.next([]*channel.Message{
		{},
		{Data: []byte("메세지"), Event: "price", ID: "mine", User: "ana", Key: "k", Sender: "c1", Exclude: true},
		{Data: []byte{0, 0xff}, Binary: true},
	}, time.Hour, time.Now())
}

// What is written is read again, and tells where the next record belongs.
func TestRecord(t *testing.T) {
	want := sample()
	got, err := decode(want.append(nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range got.messages {
		if m.Data == nil || !m.Time.Equal(want.messages[i].Time) {
			t.Errorf("message %d: %+v", i, m)
		}
		if len(m.Data) == 0 {
			m.Data = nil
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	end := tailOf(&got, 9)
	if end.end != 65 || end.total != 999+3*messageOverhead+uint64(len("메세지")+len("price")+len("mine")+len("ana")+len("k")+2+len("EPOCH:63")+len("EPOCH:65")) ||
		end.marks[0] != (mark{9, 63}) || end.marks[1] != (mark{}) {
		t.Errorf("%+v", end)
	}
}

// What is not a record, of this version and with what clients may be sent, is foreign.
func TestForeignRecords(t *testing.T) {
	good := sample()
	for name, spoil := range map[string]func(r *record){
		"an epoch with a space":  func(r *record) { r.epoch = "a b" },
		"no epoch":               func(r *record) { r.epoch = "" },
		"no offset":              func(r *record) { r.first = 0 },
		"offsets past their end": func(r *record) { r.first = 1<<64 - 2 },
		"a long id":              func(r *record) { r.messages[0].ID = strings.Repeat("i", 129) },
		"a line in an id":        func(r *record) { r.messages[0].ID = "a\nb" },
		"a reserved event":       func(r *record) { r.messages[0].Event = "baro.x" },
		"a text that is none":    func(r *record) { r.messages[0].Data = []byte{0xff} },
	} {
		r := good
		r.messages = []*channel.Message{{}}
		spoil(&r)
		if _, err := decode(r.append(nil)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	whole := good.append(nil)
	for n := range whole {
		if _, err := decode(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken", n, len(whole))
		}
	}
	if _, err := decode(append(whole, 0)); err == nil {
		t.Error("a byte too many was taken")
	}
}

// Whatever comes, nothing is made of it but what could have been written.
func FuzzDecode(f *testing.F) {
	r := sample()
	f.Add(r.append(nil))
	r.messages = nil
	f.Add(r.append(nil))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			return
		}
		for _, m := range r.messages {
			if err := validate(m); err != nil {
				t.Fatalf("%+v: %v", m, err)
			}
		}
		again, err := decode(r.append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r, again) || !bytes.Equal(r.append(nil), again.append(nil)) {
			t.Fatalf("%+v, then %+v", r, again)
		}
	})
}
