"""Resources as users write them: Kubernetes' and Istio's, parsed and validated. No I/O."""
