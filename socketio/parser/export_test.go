package parser

// Secret is what every marker begins with, as text: it must not be left in anything that was decoded.
func Secret() string { return secret().text }
