// Checks heads and proofs with Go's own code for the checksum database of modules, which shares
// nothing with ours: a JSON array of checks on stdin, a line for each on stdout.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A check says what is claimed. Bytes are base64.
type check struct {
	Name   string
	Kind   string   // note, sign, record or tree
	Keys   []string // vkeys that are trusted; for sign, one private key
	Note   string   // the head
	Text   string   // sign: what Go is to sign
	Index  int64    // record: its number, from 0
	Record []byte   // record: its leaf
	Old    string   // tree: the head before
	Proof  [][]byte // record and tree
}

func main() {
	var checks []check
	if err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&checks); err != nil {
		fmt.Fprintln(os.Stderr, "reading the checks:", err)
		os.Exit(2)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, c := range checks {
		told, err := c.run()
		if err != nil {
			told = "refused: " + err.Error()
		}
		fmt.Fprintf(out, "%s: %s\n", c.Name, strconv.Quote(told))
	}
}

func (c check) run() (string, error) {
	switch c.Kind {
	case "sign":
		signer, err := note.NewSigner(c.Keys[0])
		if err != nil {
			return "", err
		}
		signed, err := note.Sign(&note.Note{Text: c.Text}, signer)
		return string(signed), err
	case "note":
		n, _, err := c.open(c.Note)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d verified, %d unknown", len(n.Sigs), len(n.UnverifiedSigs)), nil
	case "record":
		_, tree, err := c.open(c.Note)
		if err != nil {
			return "", err
		}
		proof, err := c.proof()
		if err != nil {
			return "", err
		}
		leaf := tlog.RecordHash(c.Record)
		return "holds", tlog.CheckRecord(tlog.RecordProof(proof), tree.N, tree.Hash, c.Index, leaf)
	case "tree":
		_, tree, err := c.open(c.Note)
		if err != nil {
			return "", err
		}
		_, old, err := c.open(c.Old)
		if err != nil {
			return "", err
		}
		proof, err := c.proof()
		if err != nil {
			return "", err
		}
		return "holds", tlog.CheckTree(tlog.TreeProof(proof), tree.N, tree.Hash, old.N, old.Hash)
	}
	return "", fmt.Errorf("no such kind: %q", c.Kind)
}

// open verifies a note, then reads the three lines of a checkpoint from what was signed.
func (c check) open(text string) (*note.Note, tlog.Tree, error) {
	var verifiers []note.Verifier
	for _, key := range c.Keys {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return nil, tlog.Tree{}, err
		}
		verifiers = append(verifiers, verifier)
	}
	n, err := note.Open([]byte(text), note.VerifierList(verifiers...))
	if err != nil {
		return nil, tlog.Tree{}, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 {
		return nil, tlog.Tree{}, fmt.Errorf("%d lines in the checkpoint", len(lines)-1)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return nil, tlog.Tree{}, err
	}
	hash, err := tlog.ParseHash(lines[2])
	return n, tlog.Tree{N: size, Hash: hash}, err
}

func (c check) proof() ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(c.Proof))
	for i, hash := range c.Proof {
		if len(hash) != tlog.HashSize {
			return nil, fmt.Errorf("a hash of %d bytes", len(hash))
		}
		copy(hashes[i][:], hash)
	}
	return hashes, nil
}
