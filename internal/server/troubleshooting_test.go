package server

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Whatever is refused is found in docs/troubleshooting.md, by its code.
func TestEveryRefusalIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := codesIn(t, ".", "../clients")
	if len(codes) < 40 {
		t.Fatalf("only %d codes were found: %v", len(codes), codes)
	}
	for code, where := range codes {
		if !strings.Contains(string(page), "`"+code+"`") {
			t.Errorf("%s (%s) is not in docs/troubleshooting.md", code, where)
		}
	}
}

// codesIn are the codes of the errors that the files of directories make, and where.
func codesIn(t *testing.T, directories ...string) map[string]string {
	t.Helper()
	at := map[string]int{"refusal": 1, "badRequest": 0, "Invalid": 0} // which argument it is
	codes := map[string]string{}
	for _, directory := range directories {
		names, err := filepath.Glob(filepath.Join(directory, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			files := gotoken.NewFileSet()
			f, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			found := func(e ast.Expr) {
				if l, ok := e.(*ast.BasicLit); ok && l.Kind == gotoken.STRING {
					if code, err := strconv.Unquote(l.Value); err == nil && code != "" {
						codes[code] = files.Position(l.Pos()).String()
					}
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					name := ""
					switch f := n.Fun.(type) {
					case *ast.Ident:
						name = f.Name
					case *ast.SelectorExpr:
						name = f.Sel.Name
					}
					if i, ok := at[name]; ok && i < len(n.Args) {
						found(n.Args[i])
					}
				case *ast.CompositeLit:
					if f, ok := n.Type.(*ast.Ident); ok && f.Name == "Error" && len(n.Elts) == 4 {
						found(n.Elts[2])
					}
				}
				return true
			})
		}
	}
	return codes
}
