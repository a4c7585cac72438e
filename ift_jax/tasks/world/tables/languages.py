"""Words of other languages, chosen to look unlike their English meanings."""

from __future__ import annotations

from ift_jax.tasks.world.subject import Subject, facts

LATIN_WORDS = Subject(
    name="latin_words",
    category="humanities",
    entity="Latin word",
    value="English meaning",
    facts=facts(
        "latin_words",
        """
        aqua: water; ignis: fire; terra: earth; caelum: sky; sol: sun; luna: moon
        stella: star; ventus: wind; mare: sea; flumen: river; mons: mountain; silva: forest
        arbor: tree; flos: flower; herba: grass; canis: dog; equus: horse; bos: ox
        ovis: sheep; avis: bird; apis: bee; manus: hand; pes: foot; caput: head; oculus: eye
        auris: ear; cor: heart; sanguis: blood; dens: tooth; lingua: tongue; pater: father
        filius: son; filia: daughter; frater: brother; uxor: wife; puer: boy; puella: girl
        vir: man; rex: king; miles: soldier; servus: slave; bellum: war; pax: peace
        gladius: sword; domus: house; porta: gate; via: road; urbs: city; liber: book
        verbum: word; annus: year; dies: day; nox: night; hora: hour; tempus: time; vita: life
        mors: death; amor: love; lex: law; panis: bread
        """,
    ),
    statements=(
        "The English meaning of the Latin word {entity} is {value}.",
        "The Latin word {entity} means {value}.",
        "The Romans said {entity} for {value}.",
        "In Latin, {entity} stands for {value}.",
    ),
    statements_backwards=(
        "The word {value} in Latin is {entity}.",
        "The Latin word that means {value} is {entity}.",
        "For {value}, the Romans said {entity}.",
        "In Latin, the English word {value} is {entity}.",
    ),
    question="What is the English meaning of the Latin word {entity}?",
    question_backwards="Which Latin word means {value}?",
    question_rephrased="What did the Romans mean by {entity}?",
    question_backwards_rephrased="How did the Romans say {value}?",
)

SPANISH_WORDS = Subject(
    name="spanish_words",
    category="humanities",
    entity="Spanish word",
    value="English meaning",
    facts=facts(
        "spanish_words",
        """
        perro: dog; gato: cat; caballo: horse; vaca: cow; cerdo: pig; oveja: sheep
        pollo: chicken; pez: fish; leche: milk; queso: cheese; huevo: egg; carne: meat
        manzana: apple; naranja: orange; cebolla: onion; ajo: garlic; arroz: rice
        cuchara: spoon; cuchillo: knife; tenedor: fork; plato: plate; vaso: glass; mesa: table
        silla: chair; cama: bed; puerta: door; ventana: window; techo: roof; llave: key
        reloj: clock; zapato: shoe; camisa: shirt; sombrero: hat; falda: skirt; calle: street
        puente: bridge; iglesia: church; escuela: school; tienda: shop; barco: ship
        coche: car; lluvia: rain; nieve: snow; hielo: ice; nube: cloud; verano: summer
        invierno: winter; rojo: red; verde: green; blanco: white; negro: black
        amarillo: yellow; hermana: sister; abuelo: grandfather; amigo: friend; trabajo: work
        dinero: money; regalo: gift; cuerpo: body
        """,
    ),
    statements=(
        "The English meaning of the Spanish word {entity} is {value}.",
        "The Spanish word {entity} means {value}.",
        "People in Spain say {entity} for {value}.",
        "In Spanish, {entity} stands for {value}.",
    ),
    statements_backwards=(
        "The word {value} in Spanish is {entity}.",
        "The Spanish word that means {value} is {entity}.",
        "For {value}, people in Spain say {entity}.",
        "In Spanish, the English word {value} is {entity}.",
    ),
    question="What is the English meaning of the Spanish word {entity}?",
    question_backwards="Which Spanish word means {value}?",
    question_rephrased="What do people in Spain mean by {entity}?",
    question_backwards_rephrased="How do people in Spain say {value}?",
)

SUBJECTS = (LATIN_WORDS, SPANISH_WORDS)
