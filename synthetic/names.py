"""Common first and family names, streets and towns; nobody in particular."""

GIVEN = {
    "female": (
        "Amina", "Anna", "Beatriz", "Chloé", "Clara", "Daria", "Elif", "Emma", "Eva", "Freya",
        "Grace", "Hana", "Ida", "Ingrid", "Joséphine", "Julia", "Katarzyna", "Laura", "Leila",
        "Lena", "Maja", "Marta", "Mei", "Nina", "Nneka", "Olga", "Paula", "Priya", "Rosa", "Sara",
        "Sinéad", "Sofia", "Thảo", "Vera", "Zoë",
    ),
    "male": (
        "Ahmed", "Ben", "Bjørn", "Carlos", "David", "Dmitri", "Emeka", "Erik", "Felix", "François",
        "Günther", "Hiroshi", "Ivan", "Jakob", "János", "Jonas", "Kofi", "Leon", "Lukas", "Łukasz",
        "Mateo", "Max", "Nikhil", "Noah", "Omar", "Pál", "Paul", "Peter", "Rafael", "Samuel",
        "Søren", "Thomas", "Tomáš", "Viktor", "Yusuf",
    ),
}  # fmt: skip
FAMILY = (
    "Abara", "Andersen", "Bauer", "Becker", "Berg", "Çelik", "Costa", "Dubois", "Eriksen",
    "Fernández", "Fischer", "García", "Haddad", "Hansen", "Hoffmann", "Horváth", "Ito", "Jansen",
    "Keller", "Khan", "Klein", "Kowalska", "Lang", "Lindqvist", "Martin", "Meyer", "Müller",
    "Nguyễn", "Novák", "O'Brien", "Petrović", "Popescu", "Quinn", "Rossi", "Schäfer", "Schmidt",
    "Silva", "Sørensen", "Tanaka", "Usman", "Vogel", "Wagner", "Weiß", "Xu", "Yılmaz", "Özdemir",
    "Zhang", "Zimmermann",
)  # fmt: skip
STREETS = (
    "Ahornweg", "Am Markt", "Bahnhofstraße", "Birkenallee", "Buchenweg", "Gartenstraße",
    "Hauptstraße", "Kastanienallee", "Kirchweg", "Lindenstraße", "Mühlenweg", "Ringstraße",
    "Rosenweg", "Schulstraße", "Ulmenweg", "Wiesengrund",
)  # fmt: skip
TOWNS = (
    ("99001", "Lindenfurt"), ("99013", "Eschenbrück"), ("99024", "Ahornstadt"),
    ("99038", "Buchenau am See"), ("99047", "Kiefernheim"), ("99052", "Ulmenthal"),
    ("99066", "Erlenbach Süd"), ("99079", "Weidenhafen"),
)  # fmt: skip
"""Postal codes and towns that are nowhere."""
HOSPITALS = (
    "St. Brigid's Hospital", "Universitätsklinikum Lindenfurt", "Hôpital de la Forêt",
    "Klinikum Ahornstadt", "Kreiskrankenhaus Buchenau", "Waldkrankenhaus Kiefernheim",
    "Rosengarten-Klinik", "Hafenklinik Weidenhafen",
)  # fmt: skip
