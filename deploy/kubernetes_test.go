package deploy_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// What the manifests have of the types of Kubernetes: a key beside these is a mistake, as kubectl apply --validate=strict has it.
type (
	labels map[string]string

	meta struct {
		Name        string `yaml:"name"`
		Labels      labels `yaml:"labels"`
		Annotations labels `yaml:"annotations"`
	}
	selector struct {
		MatchLabels labels `yaml:"matchLabels"`
	}
	port struct {
		Name          string `yaml:"name"`
		Port          any    `yaml:"port"` // a number or, in a policy, a name
		TargetPort    string `yaml:"targetPort"`
		ContainerPort int    `yaml:"containerPort"`
		Protocol      string `yaml:"protocol"`
	}
	probe struct {
		HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
		PeriodSeconds    int                         `yaml:"periodSeconds"`
		TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
		FailureThreshold int                         `yaml:"failureThreshold"`
	}
	container struct {
		Name  string   `yaml:"name"`
		Image string   `yaml:"image"`
		Args  []string `yaml:"args"`
		Env   []struct {
			Name, Value string
			ValueFrom   struct {
				FieldRef struct {
					FieldPath string `yaml:"fieldPath"`
				} `yaml:"fieldRef"`
			} `yaml:"valueFrom"`
		}
		Ports          []port `yaml:"ports"`
		StartupProbe   probe  `yaml:"startupProbe"`
		LivenessProbe  probe  `yaml:"livenessProbe"`
		ReadinessProbe probe  `yaml:"readinessProbe"`
		Resources      struct {
			Requests, Limits struct{ CPU, Memory string }
		} `yaml:"resources"`
		SecurityContext struct {
			AllowPrivilegeEscalation bool                    `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool                    `yaml:"readOnlyRootFilesystem"`
			Capabilities             struct{ Drop []string } `yaml:"capabilities"`
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	pod struct {
		TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
		AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
		EnableServiceLinks            *bool `yaml:"enableServiceLinks"`
		SecurityContext               struct {
			RunAsNonRoot        bool                  `yaml:"runAsNonRoot"`
			RunAsUser           int                   `yaml:"runAsUser"`
			RunAsGroup          int                   `yaml:"runAsGroup"`
			FSGroup             int                   `yaml:"fsGroup"`
			FSGroupChangePolicy string                `yaml:"fsGroupChangePolicy"`
			SeccompProfile      struct{ Type string } `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Affinity struct {
			PodAntiAffinity struct {
				Preferred []struct {
					Weight int `yaml:"weight"`
					Term   struct {
						TopologyKey   string   `yaml:"topologyKey"`
						LabelSelector selector `yaml:"labelSelector"`
					} `yaml:"podAffinityTerm"`
				} `yaml:"preferredDuringSchedulingIgnoredDuringExecution"`
			} `yaml:"podAntiAffinity"`
		} `yaml:"affinity"`
		Containers []container `yaml:"containers"`
		Volumes    []struct {
			Name      string                `yaml:"name"`
			ConfigMap struct{ Name string } `yaml:"configMap"`
			Secret    struct {
				SecretName  string `yaml:"secretName"`
				DefaultMode int    `yaml:"defaultMode"`
			} `yaml:"secret"`
		} `yaml:"volumes"`
	}
	peer struct {
		PodSelector       selector `yaml:"podSelector"`
		NamespaceSelector selector `yaml:"namespaceSelector"`
	}

	statefulSet struct {
		Object `yaml:",inline"`
		Spec   struct {
			ServiceName string   `yaml:"serviceName"`
			Replicas    int      `yaml:"replicas"`
			Management  string   `yaml:"podManagementPolicy"`
			Selector    selector `yaml:"selector"`
			Template    struct {
				Metadata meta `yaml:"metadata"`
				Spec     pod  `yaml:"spec"`
			} `yaml:"template"`
			VolumeClaimTemplates []struct {
				Metadata meta `yaml:"metadata"`
				Spec     struct {
					AccessModes []string `yaml:"accessModes"`
					Resources   struct {
						Requests struct{ Storage string }
					} `yaml:"resources"`
				} `yaml:"spec"`
			} `yaml:"volumeClaimTemplates"`
		} `yaml:"spec"`
	}
	disruptionBudget struct {
		Object `yaml:",inline"`
		Spec   struct {
			MaxUnavailable int      `yaml:"maxUnavailable"`
			Selector       selector `yaml:"selector"`
		} `yaml:"spec"`
	}
	service struct {
		Object `yaml:",inline"`
		Spec   struct {
			ClusterIP                string `yaml:"clusterIP"`
			PublishNotReadyAddresses bool   `yaml:"publishNotReadyAddresses"`
			Selector                 labels `yaml:"selector"`
			Ports                    []port `yaml:"ports"`
		} `yaml:"spec"`
	}
	networkPolicy struct {
		Object `yaml:",inline"`
		Spec   struct {
			PodSelector selector `yaml:"podSelector"`
			PolicyTypes []string `yaml:"policyTypes"`
			Ingress     []struct {
				Ports []port `yaml:"ports"`
				From  []peer `yaml:"from"`
			} `yaml:"ingress"`
		} `yaml:"spec"`
	}
	configMap struct {
		Object `yaml:",inline"`
		Data   map[string]string `yaml:"data"`
	}
	Object struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Metadata   meta   `yaml:"metadata"`
	}
)

// manifests are what is in kubernetes/, by kind and name.
func manifests(t *testing.T) map[string]any {
	t.Helper()
	kinds := map[string]func() any{
		"apps/v1 StatefulSet":                func() any { return new(statefulSet) },
		"policy/v1 PodDisruptionBudget":      func() any { return new(disruptionBudget) },
		"v1 Service":                         func() any { return new(service) },
		"v1 ConfigMap":                       func() any { return new(configMap) },
		"networking.k8s.io/v1 NetworkPolicy": func() any { return new(networkPolicy) },
	}
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	all := make(map[string]any)
	for _, file := range files {
		for document := range strings.SplitSeq(read(t, file), "\n---\n") {
			var o Object
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			kind, ok := kinds[o.APIVersion+" "+o.Kind]
			if !ok {
				t.Fatalf("%s: %s %s is of no kind that is known here", file, o.APIVersion, o.Kind)
			}
			to := kind()
			if err := yaml.NewDecoder(bytes.NewReader([]byte(document)), yaml.Strict()).Decode(to); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all[o.Kind+" "+o.Metadata.Name] = to
		}
	}
	return all
}

func (c *container) port(name string) int {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	return 0
}

// The manifests fit the server, and each other.
func TestKubernetes(t *testing.T) {
	all := manifests(t)
	set := all["StatefulSet baro"].(*statefulSet)
	spec := set.Spec.Template.Spec
	c := &spec.Containers[0]
	environment := make(map[string]string)
	for _, e := range c.Env {
		environment[e.Name] = cmp.Or(e.Value, e.ValueFrom.FieldRef.FieldPath)
	}
	s := settings(t, all["ConfigMap baro"].(*configMap).Data["baro.yml"], environment)

	if grace := time.Duration(spec.TerminationGracePeriodSeconds) * time.Second; grace < s.Drain+10*time.Second {
		t.Errorf("the pod has %v to end, the server takes %v", grace, s.Drain)
	}
	if s.Server.DrainDelay+s.Server.DrainWindow > s.Drain/2 {
		t.Errorf("the server has %v to stop, and spends %v and %v on its clients", s.Drain, s.Server.DrainDelay, s.Server.DrainWindow)
	}
	unready := time.Duration(c.ReadinessProbe.PeriodSeconds*c.ReadinessProbe.FailureThreshold) * time.Second
	if s.Server.DrainDelay <= unready {
		t.Errorf("the server serves on for %v, and is taken for ready for %v", s.Server.DrainDelay, unready)
	}
	for want, listen := range map[string]string{"http": s.Server.Listen, "admin": s.Server.AdminListen, "cluster": s.Server.Cluster.Listen} {
		if listen != ":"+strconv.Itoa(c.port(want)) {
			t.Errorf("the server listens on %s, the port %s is %d", listen, want, c.port(want))
		}
	}
	for _, p := range []probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if c.port(p.HTTPGet.Port) == 0 || p.HTTPGet.Path != "/livez" && p.HTTPGet.Path != "/readyz" {
			t.Errorf("a probe asks %+v", p)
		}
	}
	if *spec.EnableServiceLinks || *spec.AutomountServiceAccountToken || !spec.SecurityContext.RunAsNonRoot || !c.SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the pod may more than it must")
	}
	mounted := map[string]bool{s.Server.Data: false, filepath.Dir(environment["BARO_CONFIG"]): false, filepath.Dir(environment["BARO_TOKEN_SECRET_FILE"]): false}
	names := map[string]bool{}
	for _, v := range spec.Volumes {
		names[v.Name] = true
	}
	for _, v := range set.Spec.VolumeClaimTemplates {
		names[v.Metadata.Name] = true
	}
	for _, m := range c.VolumeMounts {
		mounted[m.MountPath] = names[m.Name]
	}
	for path, ok := range mounted {
		if !ok {
			t.Errorf("nothing is mounted at %s", path)
		}
	}
	pods := set.Spec.Template.Metadata.Labels
	for what, l := range map[string]labels{
		"set":     set.Spec.Selector.MatchLabels,
		"budget":  all["PodDisruptionBudget baro"].(*disruptionBudget).Spec.Selector.MatchLabels,
		"service": all["Service baro"].(*service).Spec.Selector,
		"admin":   all["Service baro-admin"].(*service).Spec.Selector,
		"peers":   all["Service baro-peers"].(*service).Spec.Selector,
		"policy":  all["NetworkPolicy baro"].(*networkPolicy).Spec.PodSelector.MatchLabels,
	} {
		for key, value := range l {
			if pods[key] != value {
				t.Errorf("the %s selects other pods", what)
			}
		}
	}
}

// The pods of the set are the nodes of the cluster, and reach each other.
func TestKubernetesCluster(t *testing.T) {
	all := manifests(t)
	set := all["StatefulSet baro"].(*statefulSet)
	spec := set.Spec.Template.Spec
	pods := set.Spec.Template.Metadata.Labels
	environment := make(map[string]string)
	for _, e := range spec.Containers[0].Env {
		environment[e.Name] = cmp.Or(e.Value, e.ValueFrom.FieldRef.FieldPath)
	}
	var names []string
	for i := range set.Spec.Replicas {
		names = append(names, fmt.Sprintf("%s-%d.%s", set.Metadata.Name, i, set.Spec.ServiceName))
	}
	if peers := environment["BARO_CLUSTER_PEERS"]; peers != strings.Join(names, ",") || environment["BARO_CLUSTER"] != "true" {
		t.Errorf("the peers are %s, the pods %q", peers, names)
	}
	if environment["BARO_NODE_NAME"] != "metadata.name" {
		t.Error("a pod that has lost its volume is another node")
	}
	if set.Spec.Management != "Parallel" {
		t.Error("the first pod waits for the second to be ready, and that one for the first to begin")
	}
	peers := all["Service "+set.Spec.ServiceName].(*service).Spec
	if peers.ClusterIP != "None" || !peers.PublishNotReadyAddresses {
		t.Error("the pods have no names, or have them too late")
	}
	if away := all["PodDisruptionBudget baro"].(*disruptionBudget).Spec.MaxUnavailable; 2*(set.Spec.Replicas-away) <= set.Spec.Replicas {
		t.Errorf("%d of %d may be away", away, set.Spec.Replicas)
	}
	apart := spec.Affinity.PodAntiAffinity.Preferred
	if len(apart) != 1 || apart[0].Weight == 0 || !maps.Equal(apart[0].Term.LabelSelector.MatchLabels, pods) {
		t.Errorf("the pods are not kept apart: %+v", apart)
	}
	among := 0
	for _, rule := range all["NetworkPolicy baro"].(*networkPolicy).Spec.Ingress {
		for _, p := range rule.Ports {
			if p.Port != "cluster" {
				continue
			}
			if among++; len(rule.From) != 1 || !maps.Equal(rule.From[0].PodSelector.MatchLabels, pods) || rule.From[0].NamespaceSelector.MatchLabels != nil {
				t.Errorf("others than the pods reach the port of the cluster: %+v", rule.From)
			}
		}
	}
	if among != 1 {
		t.Errorf("%d rules let the pods reach each other", among)
	}
}
