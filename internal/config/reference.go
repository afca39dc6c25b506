package config

import (
	"fmt"
	"strings"
)

// Reference is the part of docs/configuration.md that describes every key.
func Reference() string {
	var w strings.Builder
	section := ""
	for _, k := range Keys() {
		begins := k.Section != section
		section = k.Section
		switch {
		case k.Flag == "" && begins:
			fmt.Fprintf(&w, "\n### `%s`\n\n%s.\n", section, capital(k.Meaning))
			table(&w, []string{"key", "value", "default", ""}, k.rows(k.Name))
		case k.Flag == "":
			writeRow(&w, k.row(k.Name))
		case begins:
			fmt.Fprintf(&w, "\n### %s\n", section)
			table(&w, []string{"key", "flag", "value", "default", ""}, nil)
			fallthrough
		default:
			writeRow(&w, []string{k.mark(k.Name), code(k.Flag), k.value(), code(k.Default), k.Meaning})
		}
	}
	w.WriteString("\n### Secrets in the environment\n")
	var rows [][]string
	for _, v := range Variables() {
		rows = append(rows, []string{code(v.Name), v.Meaning})
	}
	table(&w, []string{"variable", ""}, rows)
	return strings.TrimPrefix(w.String(), "\n")
}

// rows are those of what is within a key.
func (k *Key) rows(at string) [][]string {
	within := k
	if k.Kind == KindList {
		within, at = k.Item, at+"[]"
	}
	var rows [][]string
	for i := range within.Keys {
		below := &within.Keys[i]
		name := at + "." + below.Name
		if below.Meaning != "" {
			rows = append(rows, below.row(name))
		}
		if below.Example == "" {
			rows = append(rows, below.rows(name)...)
		}
	}
	return rows
}

func (k *Key) row(name string) []string {
	meaning := k.Meaning
	if k.Required {
		meaning += "; required"
	}
	return []string{k.mark(name), k.value(), code(k.Default), meaning}
}

// mark is a key, and whether a reload changes it.
func (k *Key) mark(name string) string {
	if k.Reloads {
		return code(name) + " ↻"
	}
	return code(name)
}

// value says what a value may be.
func (k *Key) value() string {
	switch {
	case len(k.OneOf) > 0:
		return code(strings.Join(k.OneOf, "` `"))
	case k.Kind == KindList:
		return "list of " + strings.ReplaceAll(k.Item.value(), "list of ", "lists of ")
	}
	return string(k.Kind)
}

func table(w *strings.Builder, head []string, rows [][]string) {
	w.WriteByte('\n')
	writeRow(w, head)
	w.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		writeRow(w, r)
	}
}

func writeRow(w *strings.Builder, cells []string) {
	for _, c := range cells {
		w.WriteString("|")
		if c != "" {
			w.WriteString(" " + strings.ReplaceAll(c, "|", `\|`) + " ")
		}
	}
	w.WriteString("|\n")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
