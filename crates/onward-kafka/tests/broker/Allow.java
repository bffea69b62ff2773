// Gives a user the right to read a topic or to be in a group:
//   java -cp 'jars/*' Allow.java BROKERS USER topic|group NAME
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

public class Allow {
    public static void main(String[] args) throws Exception {
        var what = new ResourcePattern(ResourceType.fromString(args[2]), args[3], PatternType.LITERAL);
        var who = new AccessControlEntry("User:" + args[1], "*", AclOperation.READ, AclPermissionType.ALLOW);
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", args[0]))) {
            admin.createAcls(List.of(new AclBinding(what, who))).all().get();
        }
    }
}
