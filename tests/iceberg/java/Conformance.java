import java.util.Map;
import org.apache.iceberg.catalog.CatalogTests;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.rest.RESTCatalog;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;

/** What Iceberg's compatibility kit for REST catalogs asks of one: its CatalogTests, on the server under test. */
public class Conformance extends CatalogTests<RESTCatalog> {
  /** What the tests of properties expect that whoever runs the catalog has set. */
  private static final Map<String, String> PROPERTIES =
      Map.of(
          "table-default.default-key1", "catalog-default-key1",
          "table-default.default-key2", "catalog-default-key2",
          "table-default.override-key3", "catalog-default-key3",
          "table-override.override-key3", "catalog-override-key3",
          "table-override.override-key4", "catalog-override-key4");

  private static RESTCatalog catalog;

  @BeforeAll
  static void login() {
    catalog = Login.catalog(PROPERTIES);
  }

  @AfterAll
  static void logout() throws Exception {
    catalog.close();
  }

  /** Each test begins with nothing, as those of the kit do. */
  @BeforeEach
  void clear() {
    for (Namespace namespace : catalog.listNamespaces()) {
      clear(namespace);
    }
  }

  private static void clear(Namespace namespace) {
    for (Namespace inner : catalog.listNamespaces(namespace)) {
      clear(inner);
    }
    catalog.listTables(namespace).forEach(table -> catalog.dropTable(table, false));
    catalog.dropNamespace(namespace);
  }

  @Override
  protected RESTCatalog catalog() {
    return catalog;
  }

  @Override
  protected RESTCatalog initCatalog(String name, Map<String, String> properties) {
    return Login.catalog(properties);
  }

  /** Below the catalog's own root: a location elsewhere is refused. */
  @Override
  protected String baseTableLocation(TableIdentifier table) {
    return System.getenv("ICEBERG_ROOT") + "/" + table.namespace() + "/" + table.name();
  }

  @Override
  protected boolean requiresNamespaceCreate() {
    return true;
  }

  @Override
  protected boolean supportsServerSideRetry() {
    return true;
  }

  @Override
  protected boolean supportsNamesWithSlashes() {
    return true;
  }

  @Override
  protected boolean supportsNamesWithDot() {
    return true;
  }
}
