"""The Hugging Face Hub: upload a folder in one commit, and fetch it with every hash checked.

address   user/name@revision, and whether a text is one
refusals  errors of the Hub and the network as one sentence that says what to do
upload    files as one commit of a repository
snapshot  chosen files of a repository at a revision, from the cache or the network
dataset   publish and pull of dataset folders; `zoo.hub.repository` has those of models
"""

from symdata.hub.address import Address as Address
from symdata.hub.dataset import publish as publish
from symdata.hub.dataset import pull as pull
from symdata.hub.refusals import fetching as fetching
from symdata.hub.snapshot import place as place
from symdata.hub.snapshot import snapshot as snapshot
from symdata.hub.upload import Published as Published
from symdata.hub.upload import upload as upload

__all__ = ["Address", "Published", "fetching", "place", "publish", "pull", "snapshot", "upload"]
