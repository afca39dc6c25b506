"""Makes or reads JSON Web Tokens with PyJWT: one JSON object in, one out.

In: {"make": [{"alg", "key", "claims", "kid"}], "read": [{"alg", "key", "token", "audience"}], "set": [{"alg", "key", "kid"}]},
all keys PEM or a secret. Out: {"made": [token], "read": [claims], "set": {"keys": [jwk]}}.
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives import serialization


def jwk(alg, key, kid):
    public = serialization.load_pem_public_key(key.encode())
    described = jwt.get_algorithm_by_name(alg).to_jwk(public)
    if isinstance(described, str):
        described = json.loads(described)
    return {**described, "kid": kid, "alg": alg, "use": "sig"}


def header(kid):
    return {"kid": kid} if kid else None


work = json.load(sys.stdin)
json.dump(
    {
        "made": [
            jwt.encode(w["claims"], w["key"], algorithm=w["alg"], headers=header(w["kid"]))
            for w in work["make"]
        ],
        "read": [
            jwt.decode(w["token"], w["key"], algorithms=[w["alg"]], audience=w["audience"], options={"require": ["exp", "sub"]})
            for w in work["read"]
        ],
        "set": {"keys": [jwk(w["alg"], w["key"], w["kid"]) for w in work["set"]]},
    },
    sys.stdout,
)
