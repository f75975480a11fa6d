package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"ferrodur/bootsvc/agent/burnin"
	"ferrodur/bootsvc/agent/configdrive"
	"ferrodur/bootsvc/agent/disk"
	"ferrodur/bootsvc/agent/hardware"
	"ferrodur/bootsvc/agent/lldp"
	"ferrodur/bootsvc/agent/service"
	"ferrodur/bootsvc/agent/wipe"
	"ferrodur/bootsvc/job"
)

// errKind says that the boot service knows a kind of job that this agent does not.
var errKind = errors.New("this agent does not know the kind of job: boot images and boot service must be of one version")

// worker does one job and keeps the boot service informed.
type worker struct {
	service *service.Service
	log     *log.Logger
	root    string // where /proc and /sys are
	nics    []net.Interface
	booted  string // the one of the NICs that the server booted by
	cables  *lldp.Station

	mu       sync.Mutex
	progress job.Progress
}

// work asks for the job, does it, and delivers its result. Whatever goes wrong in the job
// itself becomes the result's error.
func (w *worker) work(ctx context.Context) error {
	j, err := w.service.Job(ctx)
	if err != nil {
		return err
	}
	w.cables = lldp.Start(ctx, j.Server, w.nics, func(err error) { w.log.Print(err) })
	w.log.Printf("job of %s: %s", j.Server, j.Kind)
	reporting, stop := context.WithCancel(ctx)
	var reporter sync.WaitGroup
	reporter.Go(func() { w.report(reporting) })
	result := w.do(ctx, j)
	stop()
	reporter.Wait()
	if result.Error != "" {
		w.log.Printf("the job failed: %s", result.Error)
	}
	return w.service.Finish(ctx, result)
}

// do does a job. It does not panic.
func (w *worker) do(ctx context.Context, j job.Job) (result job.Result) {
	defer func() {
		if reason := recover(); reason != nil {
			result.Error = fmt.Sprintf("the agent panicked: %v", reason)
			w.log.Printf("%s\n%s", result.Error, debug.Stack())
		}
	}()
	if err := w.doKind(ctx, j, &result); err != nil {
		result.Error = err.Error()
	}
	return result
}

func (w *worker) doKind(ctx context.Context, j job.Job, result *job.Result) error {
	w.note(job.Progress{Phase: job.PhaseInspect})
	if j.Inspect != nil {
		w.hearNeighbour(ctx, time.Duration(j.Inspect.LLDPSeconds)*time.Second)
	}
	found, err := hardware.Find(os.DirFS(w.root))
	if err != nil {
		return err
	}
	heard := w.cables.Neighbours()
	for i, nic := range found.NICs {
		if neighbour, ok := heard[nic.Name]; ok {
			found.NICs[i].Neighbour = &neighbour
		}
	}
	result.Hardware = &found
	switch j.Kind {
	case job.Inspect:
		return nil
	case job.BurnIn:
		if j.BurnIn == nil {
			return errKind
		}
		outcome, err := burnin.Run(ctx, *j.BurnIn, found, burnin.Command, w.phase(job.PhaseTest))
		result.BurnIn = &outcome
		return err
	case job.Wipe:
		proof, err := wipe.All(found.Disks, w.phase(job.PhaseWipe))
		result.Wipe = &proof
		return err
	case job.Install:
		if j.Install == nil {
			return errKind
		}
		result.Installed, err = w.install(ctx, *j.Install, *result)
		return err
	}
	return fmt.Errorf("%w: %q", errKind, j.Kind)
}

// hearNeighbour waits until it is known where the cable leads that the server booted by.
func (w *worker) hearNeighbour(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w.cables.Await(ctx, w.booted)
}

func (w *worker) install(ctx context.Context, spec job.InstallSpec, result job.Result) (*job.Installed, error) {
	started := time.Now()
	chosen, err := disk.Choose(result.Hardware.Disks, spec.Disk, spec.Image)
	if err != nil {
		return nil, err
	}
	device, err := disk.Open(chosen.Path)
	if err != nil {
		return nil, err
	}
	defer device.Close()
	wiping, writing := w.phase(job.PhaseWipe), w.phase(job.PhaseWrite)
	if _, err := device.Empty(func(done uint64) { wiping(done, device.Bytes, chosen.Path) }); err != nil {
		return nil, err
	}
	source := w.service.Image(ctx, spec.Image.Name)
	defer source.Close()
	err = device.WriteImage(source, spec.Image, func(done uint64) { writing(done, spec.Image.Bytes, chosen.Path) })
	if err != nil {
		return nil, err
	}
	w.note(job.Progress{Phase: job.PhaseConfig})
	if err := configdrive.Write(device.File, device.Bytes, spec.ConfigDrive); err != nil {
		return nil, err
	}
	if err := device.Flush(); err != nil {
		return nil, err
	}
	return &job.Installed{Disk: chosen, Bytes: spec.Image.Bytes, SHA256: spec.Image.SHA256, Seconds: time.Since(started).Seconds()}, nil
}

// phase returns what notes progress in a phase.
func (w *worker) phase(phase job.Phase) func(done, total uint64, what string) {
	return func(done, total uint64, what string) {
		w.note(job.Progress{Phase: phase, Done: done, Total: total, Message: what})
	}
}

func (w *worker) note(progress job.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if progress.Phase != w.progress.Phase {
		w.log.Printf("%s %s", progress.Phase, progress.Message)
	}
	w.progress = progress
}

// report tells the boot service of the progress, and that the agent lives.
func (w *worker) report(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.mu.Lock()
		progress := w.progress
		w.mu.Unlock()
		if err := w.service.Report(ctx, progress); err != nil && ctx.Err() == nil {
			w.log.Printf("report progress: %v", err)
		}
	}
}
