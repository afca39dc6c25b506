package diskstore_test

import (
	"fmt"
	"log"
	"os"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/diskstore"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "baro")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	store, err := diskstore.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	saved := make(chan error)
	m := &channel.Message{Offset: 1, Epoch: "4QJK", ID: "a1", Time: time.Now(), Data: []byte("hello")}
	store.Save("news", m, channel.Keep{Count: 1000, Bytes: 4 << 20, Age: time.Hour}, func(err error) { saved <- err })
	if err := <-saved; err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	// Another day, another process.
	if store, err = diskstore.Open(dir, nil); err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	news, err := store.Load("news", channel.Keep{Count: 10, Bytes: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(news.Epoch, news.Offset, string(news.Recent[0].Data))
	// Output: 4QJK 1 hello
}
