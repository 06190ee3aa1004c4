// Command rsa-oaep measures RSA-4096 OAEP decryptions with SHA-256 by crypto/rsa: what opening one value costs a
// controller that seals every value to an RSA key.
//
//	rsa-oaep [-n COUNT]
//
// It prints one line of JSON: {"bits": 4096, "nanoseconds": [one number a decryption]}.
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"log"
	"os"
	"time"
)

func main() {
	count := flag.Int("n", 100, "decryptions to measure")
	flag.Parse()
	log.SetFlags(0)

	const bits = 4096
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		log.Fatal(err)
	}
	sessionKey := make([]byte, 32)
	label := []byte("namespace/name")
	ciphertext, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, sessionKey, label)
	if err != nil {
		log.Fatal(err)
	}

	nanoseconds := make([]int64, *count)
	for i := range nanoseconds {
		start := time.Now()
		if _, err := rsa.DecryptOAEP(sha256.New(), nil, key, ciphertext, label); err != nil {
			log.Fatal(err)
		}
		nanoseconds[i] = time.Since(start).Nanoseconds()
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"bits": bits, "nanoseconds": nanoseconds}); err != nil {
		log.Fatal(err)
	}
}
