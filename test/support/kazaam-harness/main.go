// Runs the upstream library for our tests and benchmarks.
//
// Without arguments: reads {"spec": text, "input": text, "times": n} a line, transforms n times and answers
// {"output": text}, {"error": text}, {"load": text} for a specification that is refused, {"panic": text}, or {"hangs": true};
// "varies": true says that the n results differ, as they do where the order of Go's maps matters.
//
// With -spec FILE: transforms one document a line, as a command line over the library would.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/qntfy/kazaam/v4"
)

type request struct {
	Spec  string `json:"spec"`
	Input string `json:"input"`
	Times int    `json:"times"`
}

type answer struct {
	Output *string `json:"output,omitempty"`
	Error  *string `json:"error,omitempty"`
	Load   *string `json:"load,omitempty"`
	Panic  *string `json:"panic,omitempty"`
	Hangs  bool    `json:"hangs,omitempty"`
	Varies bool    `json:"varies,omitempty"`
}

func (a answer) text() string {
	encoded, err := json.Marshal(a)
	if err != nil {
		log.Fatal(err)
	}
	return string(encoded)
}

func once(r request) (a answer) {
	defer func() {
		if cause := recover(); cause != nil {
			text := fmt.Sprint(cause)
			a = answer{Panic: &text}
		}
	}()
	k, err := kazaam.NewKazaam(r.Spec)
	if err != nil {
		text := err.Error()
		return answer{Load: &text}
	}
	output, err := k.TransformJSONStringToString(r.Input)
	if err != nil {
		text := err.Error()
		return answer{Error: &text}
	}
	return answer{Output: &output}
}

// Upstream runs for ever on some documents that an operation has broken; the goroutine is left behind.
func within(limit time.Duration, r request) answer {
	done := make(chan answer, 1)
	go func() { done <- once(r) }()
	select {
	case a := <-done:
		return a
	case <-time.After(limit):
		return answer{Hangs: true}
	}
}

func run(r request) answer {
	first := within(time.Second, r)
	if first.Hangs {
		return first
	}
	for i := 1; i < r.Times; i++ {
		if within(time.Second, r).text() != first.text() {
			first.Varies = true
			break
		}
	}
	return first
}

func lines(in io.Reader, each func(line []byte)) {
	reader := bufio.NewReaderSize(in, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 && line[len(line)-1] == '\n' {
			line = line[:len(line)-1]
		}
		if len(line) > 0 || err == nil {
			each(line)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

func main() {
	specFile := flag.String("spec", "", "transform documents by the specification in this file")
	flag.Parse()
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	defer out.Flush()
	if *specFile != "" {
		spec, err := os.ReadFile(*specFile)
		if err != nil {
			log.Fatal(err)
		}
		k, err := kazaam.NewKazaam(string(spec))
		if err != nil {
			log.Fatal(err)
		}
		lines(os.Stdin, func(line []byte) {
			output, err := k.Transform(line)
			if err != nil {
				encoded, _ := json.Marshal(map[string]string{"error": err.Error()})
				output = encoded
			}
			out.Write(output)
			out.WriteByte('\n')
		})
		return
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	lines(os.Stdin, func(line []byte) {
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			log.Fatal(err)
		}
		if err := encoder.Encode(run(r)); err != nil {
			log.Fatal(err)
		}
	})
}
