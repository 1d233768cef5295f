// vcsim for the tests of drs: Debian's govmomi simulator library (golang-github-vmware-govmomi-dev) plus what it
// lacks: MigrateVM_Task and RelocateVM_Task as tasks that take time, can be cancelled, and move each disk;
// HostSystem.vm and quickStats kept right after a migration; migrations refused to hosts in maintenance;
// per-object QueryPerf values; EnterMaintenanceMode_Task that fails while powered-on VMs remain (-strict); and
// faults by order of a test (/drs/...).
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	_ "github.com/vmware/govmomi/vapi/cluster/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
)

// sync listens to every property change and keeps HostSystem.vm and host quickStats in step with VirtualMachine.runtime.host.
type hostSync struct {
	mu sync.Mutex
	at map[types.ManagedObjectReference]types.ManagedObjectReference
}

func (h *hostSync) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "DrsHostSync", Value: "drs"}
}
func (h *hostSync) PutObject(mo.Reference)                    {}
func (h *hostSync) RemoveObject(types.ManagedObjectReference) {}
func (h *hostSync) UpdateObject(obj mo.Reference, changes []types.PropertyChange) {
	vm, ok := obj.(*mo.VirtualMachine)
	if !ok {
		return
	}
	for _, c := range changes {
		if c.Name != "runtime.host" || vm.Runtime.Host == nil {
			continue
		}
		h.mu.Lock()
		src, dst := h.at[vm.Self], *vm.Runtime.Host
		h.at[vm.Self] = dst
		h.mu.Unlock()
		if src == dst {
			continue
		}
		if s, ok := simulator.Map.Get(src).(*simulator.HostSystem); ok {
			simulator.RemoveReference(&s.Vm, vm.Self)
			refreshStats(s)
		}
		if d, ok := simulator.Map.Get(dst).(*simulator.HostSystem); ok {
			if simulator.FindReference(d.Vm, vm.Self) == nil {
				d.Vm = append(d.Vm, vm.Self)
			}
			refreshStats(d)
		}
	}
}

// refreshStats sets host quickStats from the VMs on the host, capped at the host's capacity.
func refreshStats(h *simulator.HostSystem) {
	var cpu, mem int32
	for _, ref := range h.Vm {
		if vm, ok := simulator.Map.Get(ref).(*simulator.VirtualMachine); ok {
			cpu += vm.Summary.QuickStats.OverallCpuUsage
			mem += vm.Summary.QuickStats.HostMemoryUsage
		}
	}
	hw := h.Summary.Hardware
	if c := hw.CpuMhz * int32(hw.NumCpuCores); cpu > c {
		cpu = c
	}
	if m := int32(hw.MemorySize >> 20); mem+2048 > m {
		mem = m - 2048
	}
	h.Summary.QuickStats.OverallCpuUsage, h.Summary.QuickStats.OverallMemoryUsage = cpu, mem+2048
}

// perf answers QueryPerf from quickStats for the counters a balancer reads; everything else stays vcsim's canned data.
type perf struct {
	*simulator.PerformanceManager
	name map[int32]string
}

func (p *perf) Get() mo.Reference { return p.PerformanceManager }
func (p *perf) QueryPerf(ctx *simulator.Context, req *types.QueryPerf) soap.HasFault {
	body := p.PerformanceManager.QueryPerf(ctx, req).(*methods.QueryPerfBody)
	if body.Res == nil {
		return body
	}
	for _, e := range body.Res.Returnval {
		m, ok := e.(*types.PerfEntityMetric)
		if !ok {
			continue
		}
		var mhz, cap, act, con, size float64
		switch o := simulator.Map.Get(m.Entity).(type) {
		case *simulator.VirtualMachine:
			q := o.Summary.QuickStats
			mhz, act, con = float64(q.OverallCpuUsage), float64(q.GuestMemoryUsage), float64(q.HostMemoryUsage)
			cap, size = float64(o.Runtime.MaxCpuUsage), float64(o.Config.Hardware.MemoryMB)
		case *simulator.HostSystem:
			q := o.Summary.QuickStats
			mhz, con = float64(q.OverallCpuUsage), float64(q.OverallMemoryUsage)
			cap, size = float64(o.Summary.Hardware.CpuMhz)*float64(o.Summary.Hardware.NumCpuCores), float64(o.Summary.Hardware.MemorySize>>20)
		default:
			continue
		}
		for _, v := range m.Value {
			s, ok := v.(*types.PerfMetricIntSeries)
			if !ok {
				continue
			}
			var x float64
			switch p.name[s.Id.CounterId] {
			case "cpu.usagemhz.average", "cpu.demand.average":
				x = mhz
			case "cpu.usage.average": // 1/100 percent
				x = 10000 * mhz / math.Max(cap, 1)
			case "mem.active.average": // KB
				x = 1024 * act
			case "mem.consumed.average":
				x = 1024 * con
			case "mem.usage.average":
				x = 10000 * con / math.Max(size, 1)
			default:
				continue
			}
			s.Value = make([]int64, len(m.SampleInfo))
			for i := range s.Value {
				s.Value[i] = int64(x)
			}
		}
	}
	return body
}

// site is the simulator with what it lacks: moves that take time, can be cancelled, refused and made to fail.
type site struct {
	mu        sync.Mutex // one request, or one end of a move, at a time
	next      http.Handler
	strict    bool
	perGB     time.Duration
	cancelled map[string]bool
	moving    map[string]bool
	made      map[string]int // completed moves by VM
	faults    map[string]int // "refuse vm-3", "fail vm-3", "drop": how many more times
}

// call is what a request asks for, whichever of the methods it is.
type call struct {
	Body struct {
		Migrate  *moveCall `xml:"MigrateVM_Task"`
		Relocate *moveCall `xml:"RelocateVM_Task"`
		Cancel   *struct {
			This string `xml:"_this"`
		} `xml:"CancelTask"`
		Maintenance *struct {
			This string `xml:"_this"`
		} `xml:"EnterMaintenanceMode_Task"`
	} `xml:"Body"`
}

type moveCall struct {
	This string   `xml:"_this"`
	Host string   `xml:"host"`
	Spec moveSpec `xml:"spec"`
}

type moveSpec struct {
	Host      string `xml:"host"`
	Datastore string `xml:"datastore"`
	Disk      []struct {
		DiskId    int32  `xml:"diskId"`
		Datastore string `xml:"datastore"`
	} `xml:"disk"`
}

const envelope = `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>%s</soapenv:Body></soapenv:Envelope>`

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, envelope, body)
}

func fault(w http.ResponseWriter, name, msg string) {
	answer(w, http.StatusInternalServerError, fmt.Sprintf(`<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring><detail><%sFault xmlns="urn:vim25" xsi:type="%s"></%sFault></detail></soapenv:Fault>`, msg, name, name, name))
}

func hostOf(id string) *simulator.HostSystem {
	h, _ := simulator.Map.Get(types.ManagedObjectReference{Type: "HostSystem", Value: id}).(*simulator.HostSystem)
	return h
}

func vmOf(id string) *simulator.VirtualMachine {
	v, _ := simulator.Map.Get(types.ManagedObjectReference{Type: "VirtualMachine", Value: id}).(*simulator.VirtualMachine)
	return v
}

func dsOf(id string) *simulator.Datastore {
	d, _ := simulator.Map.Get(types.ManagedObjectReference{Type: "Datastore", Value: id}).(*simulator.Datastore)
	return d
}

// takes says whether a fault was ordered for this, and uses it up.
func (s *site) takes(what string) bool {
	if s.faults[what] == 0 {
		return false
	}
	s.faults[what]--
	return true
}

// ServeHTTP answers what it adds itself and hands the rest to the simulator.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/drs/") { // /drs/fail?vm=vm-3&n=2, /drs/refuse?vm=..., /drs/drop?n=3, /drs/load?vm=...&mhz=...
		s.control(w, r)
		return
	}
	if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/sdk") {
		s.next.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.takes("drop") {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			c.Close()
		}
		return
	}
	var c call
	if xml.Unmarshal(body, &c) == nil {
		switch {
		case c.Body.Migrate != nil:
			spec := moveSpec{Host: c.Body.Migrate.Host}
			s.move(w, "migrate", "MigrateVM_Task", c.Body.Migrate.This, spec)
			return
		case c.Body.Relocate != nil:
			s.move(w, "relocate", "RelocateVM_Task", c.Body.Relocate.This, c.Body.Relocate.Spec)
			return
		case c.Body.Cancel != nil:
			s.cancelled[c.Body.Cancel.This] = true
			answer(w, http.StatusOK, `<CancelTaskResponse xmlns="urn:vim25"/>`)
			return
		case c.Body.Maintenance != nil && s.strict:
			if h := hostOf(c.Body.Maintenance.This); h != nil {
				for _, ref := range h.Vm {
					if vm := vmOf(ref.Value); vm != nil && vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
						fault(w, "InvalidState", "powered-on virtual machines remain on the host: evacuate it first")
						return
					}
				}
			}
		}
	}
	s.next.ServeHTTP(w, r)
}

func (s *site) control(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	what := strings.TrimPrefix(r.URL.Path, "/drs/")
	n, _ := strconv.Atoi(q.Get("n"))
	switch what {
	case "load":
		vm := vmOf(q.Get("vm"))
		mhz, _ := strconv.Atoi(q.Get("mhz"))
		if vm == nil {
			http.NotFound(w, r)
			return
		}
		vm.Summary.QuickStats.OverallCpuDemand, vm.Summary.QuickStats.OverallCpuUsage = int32(mhz), int32(mhz)
		if vm.Runtime.Host != nil {
			if h := hostOf(vm.Runtime.Host.Value); h != nil {
				refreshStats(h)
			}
		}
	case "maintenance", "connect": // at once, whoever still runs there
		h := hostOf(q.Get("host"))
		if h == nil {
			http.NotFound(w, r)
			return
		}
		h.Runtime.InMaintenanceMode = what == "maintenance"
	case "full":
		d := dsOf(q.Get("ds"))
		if d == nil {
			http.NotFound(w, r)
			return
		}
		d.Summary.FreeSpace = 0
	case "moves":
		json.NewEncoder(w).Encode(s.made)
		return
	case "drop":
		s.faults["drop"] = n
	default:
		s.faults[what+" "+q.Get("vm")] = n
	}
	fmt.Fprintln(w, "ok")
}

// move answers at once with a task; the task ends when the memory of the VM has had its time.
func (s *site) move(w http.ResponseWriter, kind, method, id string, spec moveSpec) {
	vm := vmOf(id)
	if vm == nil {
		fault(w, "ManagedObjectNotFound", "the virtual machine is there no more")
		return
	}
	if s.takes("refuse " + id) {
		fault(w, "InvalidState", "refused by order of the test")
		return
	}
	if s.moving[id] {
		fault(w, "TaskInProgress", "another task is already in progress")
		return
	}
	if wrong := s.wrong(vm, spec); wrong != nil && s.strict {
		fault(w, "InvalidState", "target host is in maintenance mode or not connected")
		return
	}
	task := simulator.CreateTask(vm, kind, func(t *simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if s.cancelled[t.Self.Value] {
			return nil, new(types.RequestCanceled)
		}
		if s.takes("fail " + id) {
			return nil, new(types.MigrationFault)
		}
		if vmOf(id) == nil {
			return nil, &types.ManagedObjectNotFound{Obj: vm.Self}
		}
		if wrong := s.wrong(vm, spec); wrong != nil {
			return nil, wrong
		}
		if wrong := s.arrive(vm, spec); wrong != nil {
			return nil, wrong
		}
		s.made[vm.Name]++
		return nil, nil
	})
	now := time.Now()
	simulator.Map.Update(task, []types.PropertyChange{{Name: "info.startTime", Val: now}, {Name: "info.state", Val: types.TaskInfoStateRunning}, {Name: "info.cancelable", Val: true}})
	s.moving[id] = true
	left := time.Duration(float64(s.perGB) * float64(vm.Config.Hardware.MemoryMB) / 1024)
	go func() {
		for end := time.Now().Add(left); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			s.mu.Lock()
			over := s.cancelled[task.Self.Value]
			s.mu.Unlock()
			if over {
				break
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.moving, id)
		task.Run()
		simulator.Map.Update(task, []types.PropertyChange{{Name: "info.startTime", Val: now}}) // Run sets it anew
	}()
	answer(w, http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="urn:vim25"><returnval type="Task">%s</returnval></%sResponse>`, method, task.Self.Value, method))
}

// wrong is what stands against a move, now.
func (s *site) wrong(vm *simulator.VirtualMachine, spec moveSpec) types.BaseMethodFault {
	if spec.Host != "" {
		h := hostOf(spec.Host)
		if h == nil || h.Runtime.InMaintenanceMode || h.Runtime.ConnectionState != types.HostSystemConnectionStateConnected {
			return new(types.InvalidState)
		}
	}
	return nil
}

// arrive puts a VM and its disks where the move leads.
func (s *site) arrive(vm *simulator.VirtualMachine, spec moveSpec) types.BaseMethodFault {
	where := map[int32]string{}
	for _, d := range spec.Disk {
		where[d.DiskId] = d.Datastore
	}
	need := map[string]int64{}
	var moved []func()
	var stores []types.ManagedObjectReference
	for _, device := range vm.Config.Hardware.Device {
		disk, ok := device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
		if !ok || backing.Datastore == nil {
			continue
		}
		to := where[disk.Key]
		if to == "" {
			to = spec.Datastore
		}
		ref := *backing.Datastore
		if to != "" && to != ref.Value {
			size := disk.CapacityInKB * 1024
			from, here := ref, types.ManagedObjectReference{Type: "Datastore", Value: to}
			need[to] += size
			moved = append(moved, func() {
				backing.Datastore = &here
				if d := dsOf(from.Value); d != nil {
					d.Summary.FreeSpace += size
				}
				dsOf(here.Value).Summary.FreeSpace -= size
			})
			ref = here
		}
		if simulator.FindReference(stores, ref) == nil {
			stores = append(stores, ref)
		}
	}
	for to, size := range need {
		d := dsOf(to)
		if d == nil || d.Summary.FreeSpace < size {
			return new(types.InsufficientStorageSpace)
		}
	}
	for _, f := range moved {
		f()
	}
	var changes []types.PropertyChange
	if len(moved) > 0 {
		changes = append(changes, types.PropertyChange{Name: "datastore", Val: stores})
	}
	if spec.Host != "" {
		host := types.ManagedObjectReference{Type: "HostSystem", Value: spec.Host}
		changes = append(changes, types.PropertyChange{Name: "runtime.host", Val: &host}, types.PropertyChange{Name: "summary.runtime.host", Val: &host})
	}
	simulator.Map.Update(vm, changes)
	return nil
}

// certificate makes a key and a certificate for 127.0.0.1 that signs itself.
func certificate(out string, die func(error)) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	die(err)
	start := time.Now().Add(-time.Hour)
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vcsim"}, NotBefore: start, NotAfter: start.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	die(err)
	if out != "" {
		die(os.WriteFile(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func main() {
	m := simulator.VPX()
	flag.IntVar(&m.Datacenter, "dc", m.Datacenter, "datacenters")
	flag.IntVar(&m.Cluster, "cluster", m.Cluster, "clusters per datacenter")
	flag.IntVar(&m.ClusterHost, "host", m.ClusterHost, "hosts per cluster")
	flag.IntVar(&m.Host, "standalone-host", m.Host, "standalone hosts")
	flag.IntVar(&m.Datastore, "ds", m.Datastore, "datastores")
	flag.IntVar(&m.Machine, "vm", m.Machine, "VMs per resource pool")
	flag.IntVar(&m.Pool, "pool", m.Pool, "resource pools per compute resource")
	flag.IntVar(&m.Portgroup, "pg", m.Portgroup, "distributed port groups")
	load := flag.String("load", "", "directory of saved objects (govc object.save layout)")
	listen := flag.String("l", "127.0.0.1:8989", "listen address; port 0 picks a free one")
	user := flag.String("username", "", "required user name (any if empty)")
	pass := flag.String("password", "", "required password")
	useTLS := flag.Bool("tls", true, "serve HTTPS with a built-in test certificate")
	strict := flag.Bool("strict", false, "refuse migrations to hosts in maintenance, and maintenance on hosts with running VMs")
	perGB := flag.Duration("vmotion-per-gb", 0, "time each migration takes per GB of VM memory")
	pemOut := flag.String("cert-out", "", "where the server's certificate is written (PEM)")
	verbose := flag.Bool("v", false, "log property updates")
	flag.Parse()
	if !*verbose {
		log.SetOutput(io.Discard)
	}
	die := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "vcsim:", err)
			os.Exit(1)
		}
	}
	if *load != "" {
		die(m.Load(*load))
	} else {
		die(m.Create())
	}
	hs := &hostSync{at: map[types.ManagedObjectReference]types.ManagedObjectReference{}}
	for _, e := range simulator.Map.All("VirtualMachine") {
		if vm, ok := e.(*simulator.VirtualMachine); ok {
			// resourceConfig is a nil pointer in this govmomi; reading it makes the server drop the connection
			if vm.ResourceConfig == nil && vm.Config != nil && vm.Config.CpuAllocation != nil && vm.Config.MemoryAllocation != nil {
				vm.ResourceConfig = &types.ResourceConfigSpec{Entity: &vm.Self, CpuAllocation: *vm.Config.CpuAllocation, MemoryAllocation: *vm.Config.MemoryAllocation}
			}
			if vm.Runtime.Host != nil {
				hs.at[vm.Self] = *vm.Runtime.Host
				if h, ok := simulator.Map.Get(*vm.Runtime.Host).(*simulator.HostSystem); ok && simulator.FindReference(h.Vm, vm.Self) == nil {
					h.Vm = append(h.Vm, vm.Self)
				}
			}
		}
	}
	for _, e := range simulator.Map.All("HostSystem") {
		if h, ok := e.(*simulator.HostSystem); ok {
			h.Summary.Runtime = &h.Runtime // -load leaves summary.runtime a separate copy
		}
	}
	simulator.Map.AddHandler(hs)
	pref := simulator.Map.Get(types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance).Content.PerfManager
	if pm, ok := simulator.Map.Get(*pref).(*simulator.PerformanceManager); ok {
		p := &perf{pm, map[int32]string{}}
		for _, c := range pm.PerfCounter {
			p.name[c.Key] = c.GroupInfo.GetElementDescription().Key + "." + c.NameInfo.GetElementDescription().Key + "." + string(c.RollupType)
		}
		simulator.Map.Put(p)
	}
	u := &url.URL{Host: *listen}
	if *user != "" {
		u.User = url.UserPassword(*user, *pass)
	}
	m.Service.Listen = u
	if *useTLS {
		m.Service.TLS = certificate(*pemOut, die)
	}
	m.Service.RegisterEndpoints = true
	s := m.Service.NewServer()
	s.Config.Handler = &site{next: s.Config.Handler, strict: *strict, perGB: *perGB, cancelled: map[string]bool{}, moving: map[string]bool{}, made: map[string]int{}, faults: map[string]int{}}
	fmt.Printf("export GOVC_URL=%s GOVC_SIM_PID=%d\n", s.URL, os.Getpid())
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGINT, syscall.SIGTERM)
	<-sig
	m.Remove()
	s.Close()
}
