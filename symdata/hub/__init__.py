"""The Hugging Face Hub: a folder goes up in one commit and comes down verified.

address   user/name@revision, and whether it is one
refusals  what the Hub and the network refuse, as a sentence with its mend
upload    the files of a folder as one commit, or nothing
snapshot  chosen files of a repository at a revision, from the cache or the network
dataset   publish and pull of dataset folders; models have theirs in `zoo.hub.repository`
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
