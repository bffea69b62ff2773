import java.util.HashMap;
import java.util.Map;
import org.apache.iceberg.rest.RESTCatalog;

/** A catalog at the server under test, which the environment names. */
final class Login {
  private Login() {}

  static RESTCatalog catalog(Map<String, String> more) {
    Map<String, String> properties = new HashMap<>();
    properties.put("uri", System.getenv("ICEBERG_URI"));
    properties.put("warehouse", System.getenv("ICEBERG_WAREHOUSE"));
    properties.put("credential", System.getenv("ICEBERG_CREDENTIAL"));
    properties.put("oauth2-server-uri", System.getenv("ICEBERG_URI") + "/v1/oauth/tokens");
    properties.put("io-impl", LocalFiles.class.getName());
    properties.putAll(more);
    RESTCatalog catalog = new RESTCatalog();
    catalog.initialize("onward", properties);
    return catalog;
  }
}
