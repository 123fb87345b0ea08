"""Print the OpenAPI description of the review server, from which the page's types are made."""

import json

from hyla.review.app import api

print(json.dumps(api().openapi(), indent=1, sort_keys=True))
