// Command kubernetes holds a file of Kubernetes objects to the types of the API, as strictly as
// a server does: a field that there is not, or twice, is an error. It has a module file of its
// own, kubernetes.mod: the API would add 19 modules to those that the program is made of.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func main() {
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), batchv1.AddToScheme(scheme)); err != nil {
		return err
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	for documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return err
		}
		if err := checkReferences(object); err != nil {
			return err
		}
	}
}

// checkReferences looks at what names what within an object, which the types do not tell.
func checkReferences(object runtime.Object) error {
	switch o := object.(type) {
	case *appsv1.DaemonSet:
		if o.Spec.Selector == nil || !labels.SelectorFromSet(o.Spec.Selector.MatchLabels).Matches(labels.Set(o.Spec.Template.Labels)) {
			return fmt.Errorf("DaemonSet %s: its selector does not match its own pods", o.Name)
		}
		return checkVolumes(o.Spec.Template)
	case *batchv1.Job:
		return checkVolumes(o.Spec.Template)
	}
	return nil
}

func checkVolumes(pod corev1.PodTemplateSpec) error {
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range pod.Spec.Containers {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				return fmt.Errorf("container %s: there is no volume %s", c.Name, m.Name)
			}
		}
	}
	return nil
}
