package listen

import (
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// process is a program that runs, in a process group of its own where the system has such.
type process struct {
	cmd  *exec.Cmd
	in   *os.File // its standard input
	out  *os.File // its standard output
	over atomic.Bool

	mu     sync.Mutex
	reaped bool // its number may be another's
	ending sync.Once
	timer  *time.Timer // of what comes next when it does not end
}

// start starts a program. The names of its arguments are its own: no shell reads them.
func start(program, env []string, stderr io.Writer) (*process, error) {
	inside, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, outside, err := os.Pipe()
	if err != nil {
		inside.Close()
		in.Close()
		return nil, err
	}
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, inside, outside, stderr
	cmd.WaitDelay = lastWords // for standard error, if it is no file
	ofItsOwn(cmd)
	err = cmd.Start()
	inside.Close()
	outside.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	return &process{cmd: cmd, in: in, out: out}, nil
}

// end has the program end: its input ends; if that is not enough, its group gets SIGTERM, and after a time of grace SIGKILL. It does not wait.
func (p *process) end(grace time.Duration) {
	p.ending.Do(func() {
		p.in.Close()
		p.after(settle, func() {
			p.signal(terminate)
			p.after(grace, func() { p.signal(kill) })
		})
	})
}

// after calls f after a time, unless the program has ended by then.
func (p *process) after(d time.Duration, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.timer = time.AfterFunc(d, f)
	}
}

func (p *process) signal(send func(*exec.Cmd)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		send(p.cmd)
	}
}

// wait waits for the end of the program, then ends what is left of its group, and returns how it has ended.
func (p *process) wait() error {
	if awaitEnd(p.cmd) {
		p.signal(kill)
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	p.reaped = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.over.Store(true)
	_ = p.out.SetReadDeadline(time.Now().Add(lastWords))
	p.in.Close()
	return err
}
