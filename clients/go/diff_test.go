package promptledger

import (
	"strings"
	"testing"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

func numbered(from, to int, changed map[int]string) string {
	var text strings.Builder
	for number := from; number <= to; number++ {
		line, ok := changed[number]
		if !ok {
			line = strings.Repeat("x", number) + "\n"
		}
		text.WriteString(line)
	}
	return text.String()
}

func TestADifferenceIsShownAsDiffShowsIt(t *testing.T) {
	for _, each := range []struct {
		name, old, new, expected string
	}{
		{"equal", "a\nb\n", "a\nb\n", ""},
		{"changed", "a\nb\nc\n", "a\nB\nc\n", "--- old\n+++ new\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"},
		{"added", "a\n", "a\nb\n", "--- old\n+++ new\n@@ -1 +1,2 @@\n a\n+b\n"},
		{"all added", "", "a\n", "--- old\n+++ new\n@@ -0,0 +1 @@\n+a\n"},
		{"all dropped", "a\nb\n", "", "--- old\n+++ new\n@@ -1,2 +0,0 @@\n-a\n-b\n"},
		{"no newline", "a", "a\n", "--- old\n+++ new\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"},
		{"far apart", numbered(1, 12, nil), numbered(1, 12, map[int]string{1: "one\n", 12: "twelve\n"}),
			"--- old\n+++ new\n@@ -1,4 +1,4 @@\n-x\n+one\n xx\n xxx\n xxxx\n@@ -9,4 +9,4 @@\n xxxxxxxxx\n xxxxxxxxxx\n xxxxxxxxxxx\n" +
				"-xxxxxxxxxxxx\n+twelve\n"},
		{"moved", "a\nb\nc\n", "b\nc\na\n", "--- old\n+++ new\n@@ -1,3 +1,3 @@\n-a\n b\n c\n+a\n"},
	} {
		lines := func(text string) []string {
			return contentLines(&pb.CodePrompt{Template: &pb.CodePrompt_TemplateSource{TemplateSource: text}})
		}
		if diff := unifiedDiff("old", "new", lines(each.old), lines(each.new)); diff != each.expected {
			t.Errorf("%s:\n%s", each.name, diff)
		}
	}
}

func TestWhatIsVeryLongIsShownAsAWhole(t *testing.T) {
	old, new := strings.Repeat("a\nb\n", 2_000), strings.Repeat("c\nb\n", 2_000)
	edits := lineEdits(strings.SplitAfter(old, "\n"), strings.SplitAfter(new, "\n"))
	var kept int
	for _, each := range edits {
		if each.kind == ' ' {
			kept++
		}
	}
	if kept == 0 || len(edits) < 8_000 {
		t.Error(kept, len(edits))
	}
}

func TestChatsAndConfigsAreShownAsPeopleReadThem(t *testing.T) {
	prompt := CodePrompt{
		Name:    "ask",
		Content: Chat{Message{Role: "user", Content: "{{q}}"}, Placeholder("history")},
		Config:  &Config{Model: "echo/echo"},
	}
	message, err := prompt.message()
	if err != nil {
		t.Fatal(err)
	}
	diff := codeDifference(message, ActionUpdated, &pb.PromptVersion{
		VersionNumber: 3, Template: &pb.PromptVersion_TemplateSource{TemplateSource: "{{q}}"},
	})
	for _, expected := range []string{
		"--- ask (version 3)\n+++ ask (code, updated)\n", "-{{q}}\n", "+  \"content\": \"{{q}}\",\n", "+placeholder: history\n", "+config: {\n",
		"+    \"model_name\": \"echo\"",
	} {
		if !strings.Contains(diff, expected) {
			t.Errorf("no %q in\n%s", expected, diff)
		}
	}
	if diff := codeDifference(message, ActionNew, nil); !strings.HasPrefix(diff, "--- /dev/null\n+++ ask (code, new)\n") {
		t.Error(diff)
	}
}
