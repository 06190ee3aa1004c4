package main

import "fmt"

// The steps of opening, in their order: format.md, "Opening".
const (
	stepCaps      = "caps"
	stepScope     = "scope"
	stepRecipient = "recipient"
	stepEnvelope  = "envelope"
	stepValue     = "value"
)

// The reasons that a reader may give.
const (
	malformed     = "Malformed"
	scopeMismatch = "ScopeMismatch"
	notARecipient = "NotARecipient"
	cannotOpen    = "CannotOpen"
)

// refusal is why a document does not open. Key is empty where no single data key is to blame; Detail says in words
// what is wrong with a shape, and nothing about what is encrypted.
type refusal struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
	Key    string `json:"key,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("refused at step %s: %s %s %s", r.Step, r.Reason, r.Key, r.Detail)
}

func refuseShape(key, detail string) *refusal {
	return &refusal{Step: stepCaps, Reason: malformed, Key: key, Detail: detail}
}
