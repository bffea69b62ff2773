"""Gives a user a right: allow.py BROKERS USER topic|group NAME OPERATION"""

import sys

from confluent_kafka import admin

brokers, user, kind, name, operation = sys.argv[1:]
rule = admin.AclBinding(
    admin.ResourceType[kind.upper()],
    name,
    admin.ResourcePatternType.LITERAL,
    f"User:{user}",
    "*",
    admin.AclOperation[operation.upper()],
    admin.AclPermissionType.ALLOW,
)
# Without a name of its own it would be gone before the answer.
client = admin.AdminClient({"bootstrap.servers": brokers})
for done in client.create_acls([rule]).values():
    done.result(30)
