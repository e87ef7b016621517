"""The protocols of Istio ambient mode: WDS (`Address`), L4 policy (`Authorization`) and the CA service."""

from sidestep.wire._pb.istio import authorization_pb2 as authorization
from sidestep.wire._pb.istio import workload_pb2 as workload
from sidestep.wire._pb.istio.authorization_pb2 import Authorization
from sidestep.wire._pb.istio.ca_pb2 import IstioCertificateRequest, IstioCertificateResponse
from sidestep.wire._pb.istio.workload_pb2 import Address

__all__ = [
    "ADDRESS",
    "AUTHORIZATION",
    "CREATE_CERTIFICATE",
    "Address",
    "Authorization",
    "IstioCertificateRequest",
    "IstioCertificateResponse",
    "authorization",
    "workload",
]

ADDRESS = "type.googleapis.com/istio.workload.Address"
AUTHORIZATION = "type.googleapis.com/istio.security.Authorization"
CREATE_CERTIFICATE = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
