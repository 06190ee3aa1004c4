package main

import (
	"bytes"
	"strings"
	"testing"

	"filippo.io/age"
)

// TestVectors opens every committed vector with this implementation.
func TestVectors(t *testing.T) {
	vectors, err := readVectors("../vectors")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, v := range vectors {
		if err := v.check(); err != nil {
			t.Error(err)
		}
		if v.refused != nil {
			refused++
		}
	}
	if len(vectors) < 75 || 2*refused < len(vectors) {
		t.Errorf("%d vectors, %d refused", len(vectors), refused)
	}
}

// TestVectorFiles writes and reads a vector.
func TestVectorFiles(t *testing.T) {
	text := "expect: opened\ncomment: why\nnamespace: a\nname: b\nidentity: x\ntype: Opaque\nvalue: empty\nvalue: key aHVudGVyMg==\n" +
		"---\n---\n%repeat 9 10\nk%n\n%end\n"
	v, err := parseVector("test", text)
	if err != nil {
		t.Fatal(err)
	}
	if v.text() != text || v.values["key"] != "hunter2" || len(v.values) != 2 || v.at.source {
		t.Errorf("%+v", v)
	}
	if got, err := writtenOut(v.body); err != nil || got != "---\nk0009\nk0010\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got := shortened(strings.Repeat("x\n", 9) + "y\n"); got != "%repeat 1 9\nx\n%end\ny\n" {
		t.Errorf("%q", got)
	}
}

// TestForgery shows that the forged stanzas are wrong in nothing but what their vectors say: made around a share that
// is in order, the hybrid one opens.
func TestForgery(t *testing.T) {
	key := publicKey(recipientOf(hybridProd))
	if len(key) != 1216 {
		t.Fatalf("%d bytes", len(key))
	}
	if got := publicKey(recipientOf(x25519Prod)); len(got) != 32 {
		t.Fatalf("%d bytes", len(got))
	}
	identity := must(age.ParseHybridIdentity(hybridProd))
	fileKey := []byte("sixteen byte key")
	stanzas, err := honestHybrid{key}.Wrap(fileKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := identity.Unwrap(stanzas); err != nil || !bytes.Equal(got, fileKey) {
		t.Errorf("%x, %v", got, err)
	}
}

// TestSealAndOpen goes through the two commands' functions.
func TestSealAndOpen(t *testing.T) {
	for _, secret := range []string{hybridProd, x25519Prod} {
		s := sealing{"shop-prod", "db", "", []string{"shop-test/db", "shop-prod/db"}, []string{recipientOf(secret)},
			map[string][]byte{"password": []byte("hunter2"), "1e3": {}}}
		text := must(must(s.seal()).text())
		documents, err := readStream(append([]byte("apiVersion: v1\nkind: ConfigMap\n---\n"), text...))
		if err != nil || len(documents) != 1 {
			t.Fatal(documents, err)
		}
		identities := must(parseIdentities(strings.NewReader(secret)))
		opened, refused := documents[0].open(identities, live{namespace: "shop-test", name: "db"})
		if refused != nil || string(opened.Data["password"]) != "hunter2" || len(opened.Data) != 2 {
			t.Fatal(opened, refused)
		}
	}
	s := sealing{"a", "b", "", []string{"a/b"}, []string{recipientOf(hybridProd), recipientOf(x25519Prod)}, nil}
	if _, err := s.seal(); err == nil {
		t.Error("a post-quantum and a classic recipient in one envelope")
	}
}
