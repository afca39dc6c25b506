// Package neterr has the errors of sockets for [errors.Is]. On Windows they have numbers of their own (WSAE…), which are not those that package
// syscall has by the same names.
package neterr
