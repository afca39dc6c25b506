// Command generate writes what docs/ says of the keys of a configuration. See [config.Generate].
package main

import (
	"log"

	"baro.dev/internal/config"
)

func main() {
	if err := config.Generate("../../docs"); err != nil {
		log.Fatal(err)
	}
}
