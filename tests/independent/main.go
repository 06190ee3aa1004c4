// Command independent is a second implementation of ageseal's sealed format, written from its specification alone and
// in another language, so that one misreading cannot hide in both.
//
//	independent open  -i IDENTITIES [--namespace NS --name NAME | --source] FILE|-
//	independent seal  -r RECIPIENT… --scope PATTERN… [--type TYPE] [--namespace NS --name NAME] < JSON
//	independent value < JSON
//	independent vectors FOLDER
//
// `open` prints [{"namespace","name","type","data":{KEY:BASE64}}], or {"refused":{"step","reason","key"}} and ends
// with 3. `seal` reads {KEY:BASE64} and prints a document. `value` computes the text of one value from
// {"dek","salt","value" (base64),"type","key","scope"}. `vectors` writes the test vectors anew.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string         { return strings.Join(*l, " ") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

func main() {
	err := errors.New("usage: independent open|seal|value|vectors …")
	if len(os.Args) > 1 {
		switch arguments := os.Args[2:]; os.Args[1] {
		case "open":
			err = openCommand(arguments)
		case "seal":
			err = sealCommand(arguments)
		case "value":
			err = valueCommand()
		case "vectors":
			if len(arguments) == 1 {
				err = writeVectors(arguments[0])
			}
		}
	}
	var refused *refusal
	if errors.As(err, &refused) {
		printJSON(map[string]any{"refused": refused})
		os.Exit(3)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
}

func openCommand(arguments []string) error {
	flags := flag.NewFlagSet("open", flag.ExitOnError)
	var files list
	flags.Var(&files, "i", "identity `FILE`, repeatable")
	namespace := flags.String("namespace", "", "live namespace instead of the document's")
	name := flags.String("name", "", "live name instead of the document's")
	source := flags.Bool("source", false, "check the authenticated context only")
	_ = flags.Parse(arguments)
	if flags.NArg() != 1 {
		return errors.New("open takes one FILE, or -")
	}
	var identities []identity
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		found, err := parseIdentities(strings.NewReader(string(text)))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		identities = append(identities, found...)
	}
	stream, err := readInput(flags.Arg(0))
	if err != nil {
		return err
	}
	documents, err := readStream(stream)
	if err != nil {
		return err
	}
	secrets := make([]*secret, len(documents))
	for n, d := range documents {
		at := live{namespace: *namespace, name: *name, source: *source}
		if head := d.metadata(); at.namespace == "" && at.name == "" {
			at.namespace, at.name = head.Namespace, head.Name
		}
		opened, refused := d.open(identities, at)
		if refused != nil {
			return refused
		}
		secrets[n] = opened
	}
	return printJSON(secrets)
}

func sealCommand(arguments []string) error {
	flags := flag.NewFlagSet("seal", flag.ExitOnError)
	var recipients, scope list
	flags.Var(&recipients, "r", "`RECIPIENT`, repeatable")
	flags.Var(&scope, "scope", "`PATTERN`, repeatable")
	secretType := flags.String("type", "", "type of the Secret; left out: Opaque")
	namespace := flags.String("namespace", "", "namespace; left out: that of the first strict pattern")
	name := flags.String("name", "", "name; left out: that of the first strict pattern")
	_ = flags.Parse(arguments)

	s := sealing{*namespace, *name, *secretType, scope, recipients, nil}
	strict := func(pattern string) bool { return !strings.ContainsAny(pattern, "*{") }
	if n := slices.IndexFunc(scope, strict); n >= 0 && s.namespace == "" && s.name == "" {
		s.namespace, s.name, _ = strings.Cut(scope[n], "/")
	}
	if err := json.NewDecoder(os.Stdin).Decode(&s.data); err != nil {
		return err
	}
	d, err := s.seal()
	if err != nil {
		return err
	}
	text, err := d.text()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

func valueCommand() error {
	var input struct {
		DEK, Salt, Value []byte
		Type, Key        string
		Scope            []string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		return err
	}
	_, err := fmt.Println(sealValue(input.DEK, input.Salt, input.Value, binding{input.Type, input.Key, input.Scope}))
	return err
}

func readInput(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func printJSON(value any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
