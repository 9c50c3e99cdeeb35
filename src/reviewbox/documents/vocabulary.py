"""Words that say what a field contains: weights of the words of its name, and words of its values."""

import unicodedata
from collections.abc import Mapping
from functools import lru_cache

# Accents of Latin, Greek and Cyrillic letters. Other combining characters make another letter.
_ACCENTS = frozenset(map(chr, range(0x300, 0x370)))
# Letters that Unicode does not take apart.
_STROKES = str.maketrans("łđøı", "ldoi")


@lru_cache(maxsize=10_000)
def plain_word(word: str) -> str:
    """Return a word in lower case and without accents, as all words in this module are."""
    decomposed = unicodedata.normalize("NFKD", word.casefold().translate(_STROKES))
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if c not in _ACCENTS))


def _words(weight: float, text: str) -> dict[str, float]:
    return dict.fromkeys(map(plain_word, text.split()), weight)


# What a merchant answers to a review.
REPLY_WORDS = frozenset(
    map(
        plain_word,
        (
            "reply replies replied responded respond owner merchant vendor seller developer antworten "
            "ourreply ショップから 店舗から お店から オーナーから 出品者から 返信 回复 回復 답글 답변"
        ).split(),
    )
)
DESCRIPTIONS = frozenset(
    map(
        plain_word,
        (
            "description descriptions desc descrip beschreibung beschrijving omschrijving descripcion "
            "descrizione descricao deskripsi açıklama описание опис opis popis leírás beskrivelse "
            "beskrivning kuvaus descriere 説明 描述 설명"
        ).split(),
    )
)
TITLE_WORDS = frozenset(
    "title headline heading summary titel titre titulo titolo judul baslik otsikko rubrik".split()
)

NAME_WEIGHTS: Mapping[str, float] = {
    # a review, in the languages that people export in
    **_words(
        3.0,
        "review reviews reviewtext reviewbody reviewcontent comment comments feedback opinion opinions "
        "verbatim verbatims testimonial testimonials remark remarks critique critiques kritik critica "
        "criticas bewertung bewertungen bewertungstext rezension rezensionen kommentar kommentare meinung "
        "anmerkung avis commentaire commentaires temoignage remarque resena resenas opiniones comentario "
        "comentarios valoracion recensione recensioni commento commenti opinione parere avaliacao "
        "avaliacoes comente opiniao beoordeling recensie recensies opmerking opmerkingen recenzja recenzje "
        "parecer recenzji opinia opinii opinie komentarz komentarze recenze hodnoceni komentar recenzia "
        "hodnotenie omdome recension anmeldelse anmeldelser arvostelu palaute ulasan tanggapan yorum "
        "yorumlar yorumu yorumunuz degerlendirme degerlendirmeniz gorusunuz gorus отзыв отзывы отзыва "
        "отзывов комментарии комментария комментариев мнение рецензия відгук відгуки коментар κριτικη "
        "κριτικες σχολιο σχολια recenzie recenzii comentariu velemeny ertekeles レビュー 口コミ クチコミ "
        "感想 コメント 评论 評論 评价 評價 點評 点评 评语 評語 리뷰 후기 댓글 의견 รีวิว ความคิดเห็น تعليق "
        "مراجعة تقييم نظر ملاحظات ביקורת תגובה הערות חוותדעת समीक्षा टिप्पणी đanhgia nhanxet binhluan gopy "
        "отзив отзиви atsauksme atsauksmes atsiliepimas atsiliepimai arvustus tagasiside mnenje ressenya "
        "testimonio testimonios depoimento depoimentos testemunho testemunhos testimonianza testimonianze "
        "temoignages opinioni beoordelingen kundenstimmen kommentarer omdomen recenzija recenzije "
        "arvostelut arvio arviot kommentti kommentit ruckmeldung ruckmeldungen bemerkung bemerkungen "
        "التعليق المراجعة الملاحظات giudizio giudizi",
    ),
    # a complaint
    **_words(
        2.5,
        "complaint complaints grievance grievances beschwerde beschwerden plainte plaintes reclamation "
        "reclamations queja quejas reclamo reclamos reclamacao reclamacoes reclami keluhan sikayet "
        "sikayetler жалоба жалобы skarga skargi reklamacja reklamacje 投诉 投訴 クレーム 苦情 불만 شكوى "
        "ร้องเรียน",
    ),
    # the text of something
    **_words(
        1.5,
        "text body content message verbatimtext freetext openended openend texto texte testo tekst texten "
        "inhalt contenu contenido contenuto mensaje nachricht messaggio teks isi metin icerik текст "
        "сообщение treść 本文 内容 內容 문장 내용 post tweet caption answer answers antwort reponse "
        "respuesta risposta odpowiedz jawaban cevap ответ observaciones statement sentence sentences phrase "
        "phrases utterance utterances satz satze frase frases zdanie zdania cumle cumleler "
        "kalimat предложение предложения 句子 teksti szoveg κειμενο نص متن noidung ข้อความ impression",
    ),
    # an answer in a survey, or a reply to a review; what an analyst wrote
    **_words(-1.0, "response claim claims insight insights"),
    # an open question, or what somebody said
    **_words(
        1.0,
        "what why how tell describe explain said say says voice think thought thoughts experience "
        "experiences like liked dislike dislikes likes hated disliked improve improved improvement "
        "improvements suggestion suggestions suggest better wrong pros cons advantages disadvantages praise "
        "additional anything was reason reasons warum wie gefallen verbessern pourquoi quoi qu que porque "
        "cosa perche apa neden sugerencia sugerencias sugestao sugestoes suggerimenti vorschlage anregungen",
    ),
    **_words(
        0.5, "customer customers user users guest guests client clients patient reviewer open other your you"
    ),
    # something else about a review
    **_words(
        -2.0,
        "titles subject заголовок 标题 標題 件名 タイトル 제목 topic topics theme themes keyword keywords "
        "tag tags label labels sentiment emotion category categories type kind class group segment тип вид "
        "тема категория tipo tipologia categoria kategorie kategoria kategori typ rodzaj jenis 类型 類型 "
        "类别 分类 カテゴリ 種類 유형",
    ),
    **dict.fromkeys(TITLE_WORDS, -2.0),
    **_words(
        -4.0,
        "responses owners host manager management staff reponses respuestas risposte رد الرد bio biography "
        "about instructions policy prompt html question questions",
    ),
    # a text of another kind
    **_words(
        -4.0,
        "dialogue dialogues dialogo dialogos joke jokes witz witze blague blagues chiste chistes piada "
        "piadas barzelletta barzellette анекдот анекдоты lyric lyrics songtext liedtext paroles poem "
        "poems poema poemas poeme poemes gedicht gedichte poesia poesie puisi стих стихи speech speeches "
        "discurso discursos discours pidato resume resumes cv lebenslauf curriculo prerequisite "
        "prerequisites syllabus obituary obituaries recipe recipes rezept rezepte receta recetas recette "
        "recettes ricetta ricette receita receitas resep ucapan doa",
    ),
    **dict.fromkeys(REPLY_WORDS | DESCRIPTIONS, -4.0),
    **_words(
        -5.0,
        "id ids uid uuid guid key keys hash token cursor code codes sku asin isbn ean upc url urls uri link "
        "links href permalink path file filename slug handle image images img photo photos picture avatar "
        "thumbnail video videos icon email mail phone fax ip address adresse direccion indirizzo street "
        "city town state province country region zip postcode postal latitude longitude lat lng geo "
        "location place name names firstname lastname fullname username nickname person author authors "
        "reviewername nom nombre nome naam imie isim имя 名前 姓名 名 商品 店舗 投稿者 时间 時間 日時 者 人 "
        "昵称 用户 产品 评分 이름 평점 별점 작성자 상품 제품 product products produkt produit producto "
        "prodotto produto produk urun artikel article_name bezeichnung item items brand model variant "
        "business company hotel restaurant store shop app title_of department job position role date dates "
        "time times timestamp datetime created updated modified submitted datum fecha data_ora tanggal "
        "tarih дата 日期 日付 날짜 year month day hour week hours opening duration rating ratings star "
        "stars tahdet betyg score scores nps rank points vote votes upvotes helpful helpfulness count "
        "counts number total num nb qty quantity price amount cost currency percent length status flag is "
        "has verified recommended version os device platform browser agent language languages lang locale "
        "sprache langue idioma lingua bahasa dil язык source channel origin medium campaign gender age "
        "birthday session order orders ticket index row line page size format encoding",
    ),
}

# Names of the two parts of a review that praise and blame in fields of their own.
PRAISE_WORDS = frozenset(
    map(
        plain_word,
        (
            "positive positives pro pros like liked likes advantage advantages good best strength strengths "
            "upside positiv positif positifs positivo positivos positiva positivas vorteil vorteile avantage "
            "avantages ventaja ventajas vantagem vantagens vantaggio vantaggi pregio pregi gefallen plus "
            "плюсы достоинства преимущества zalety plusy artilar artilari kelebihan "
            "gusto gustaron gostou aime piaciuto 优点 優點 满意 良い点 長所 満足 장점"
        ).split(),
    )
)
BLAME_WORDS = frozenset(
    map(
        plain_word,
        (
            "negative negatives con cons dislike disliked dislikes disadvantage disadvantages bad worst "
            "weakness weaknesses downside negativ negatif negatifs negativo negativos negativa negativas "
            "nachteil nachteile inconvenient inconvenients desventaja desventajas desvantagem desvantagens "
            "svantaggio svantaggi difetto difetti minus минусы недостатки wady minusy eksiler eksileri "
            "improve improved improvement improvements mejorar verbessern melhorar ameliorer migliorare "
            "kekurangan 缺点 缺點 不满 悪い点 短所 不満 단점"
        ).split(),
    )
)

# Words that connect others in the languages that reviews are exported in. Prose contains many of them; names,
# titles and categories contain few.
FUNCTION_WORDS = frozenset(
    (
        "the a an and or but of to in on at for with from by is are was were be been it its this that "
        "these those i we you he she they my our your me us not no so very too as if when than then there "
        "had have has do did does would could will can just all more after before because der die das und "
        "oder aber ein eine einen ist sind war waren nicht mit von zu im in den dem des auf fur ich wir "
        "sie er es sehr auch als wie bei nach leider nur noch le la les un une des et ou mais est sont "
        "etait de du en au aux pour avec pas je nous vous il elle tres que qui ne ce cette mon ma mes "
        "dans sur plus el los las una uno y o pero es son era no muy con por para que se lo mi su del al "
        "yo me nos todo mas il lo gli i e ma non molto con per che di da sono era ho abbiamo mi si della "
        "del os as um uma e mas nao muito com por para que eu foi era do da no na de het een en of maar "
        "is zijn was niet met van voor ik wij ze op te dat heel zeer i w na z do nie to jest sie ze "
        "bardzo ale za po jak yang dan di ke dari untuk tidak saya ini itu dengan sangat ada juga tapi ve "
        "bir bu cok icin ile de da ama degil gibi и в не на я что с это как но по все очень был была у за "
        "из och en ett det som pa med for jag inte mycket var"
    ).split()
)

# Words of somebody who describes an experience or judges something: the first person, and praise and blame.
# The plural of the first person is left out, because companies write "we", too.
OPINION_WORDS = frozenset(
    (
        "i i'm i've i'd i'll im ive my me myself ich mir mich mein meine meinen meiner meinem je j'ai moi "
        "mon mes yo mi mis io mio mia eu meu minha ik mijn saya aku gue bana benim я мне меня мои моя "
        "моего мое mnie moj moja jestem jag mig mitt good great bad excellent amazing awesome terrible "
        "horrible awful poor poorly worst worse best better love loved loves like liked likes nice "
        "perfect perfectly disappointed disappointing disappointment recommend recommended recommends "
        "happy unhappy satisfied fantastic wonderful useless waste delicious tasty friendly helpful rude "
        "dirty slow worth enjoy enjoyed boring fun hate hated annoying broken favorite favourite pleased "
        "impressed impressive okay ok decent mediocre superb brilliant lovely cool thanks thank problem "
        "problems issue issues refund annoyed frustrating crap wow well funny easy easily comfortable "
        "comfy quick quickly smooth smoothly polite kind pretty useful glad sad sadly unfortunately ugly "
        "overpriced expensive pricey noisy quiet fresh tired wish hope felt very really too so sehr ganz "
        "wirklich total tres vraiment trop muy demasiado molto davvero troppo muito demais zeer heel erg "
        "sangat banget sekali cok bardzo zbyt mycket valdigt очень слишком gut gute guter gutes guten "
        "toll tolle schlecht schlechte leider enttauscht empfehlen empfehlung empfehlenswert zufrieden "
        "perfekt lecker freundlich danke super bon bonne bien excellente parfait parfaite mauvais "
        "mauvaise nul nulle decu decue decevant recommande deteste adore merci probleme genial magnifique "
        "agreable bueno buena malo mala pesimo pesima perfecto perfecta excelente recomiendo encanta "
        "encanto gracias problema feliz peor mejor increible rico mal buono buona ottimo ottima bello "
        "bella pessimo consiglio consigliato soddisfatto deluso grazie bravo brava bom boa otimo otima "
        "ruim pessima recomendo gostei adorei obrigado obrigada maravilhoso goed goede slecht slechte "
        "fijn mooi prima aanrader tevreden helaas lekker bagus baik mantap kecewa suka puas jelek buruk "
        "cepat keren enak lumayan guzel iyi kotu harika berbat tavsiye tesekkurler memnun mukemmel хорошо "
        "хорошии хорошая хорошее хорошие отлично отличныи отличная отличное плохо плохои плохая ужасно "
        "ужасныи нравится понравилось понравился понравилась спасибо рекомендую супер класс довольна "
        "доволен прекрасно лучшии удобно советую dobry dobra dobre polecam swietny swietna swietnie zly "
        "slaby slaba niestety dziekuje zadowolony zadowolona jakosc bra daligt tack rekommenderar nojd "
        "tyvarr sauber schmutzig nett nette netten begeistert hervorragend angenehm unfreundlich propre "
        "propres lent lente souriant souriante accueillant accueillante sympathique sympa confortable "
        "satisfait satisfaite eviter bons bonnes buenos buenas malos malas limpio limpia sucio sucia "
        "amable amables grosero grosera agradable satisfecho satisfecha recomendable deliciosa "
        "delicioso rica ricos excelentes soddisfacente soddisfacenti deludente pulito pulita puliti "
        "pulite sporco sporca gentile gentili cortese cordiale scomodo scomoda ottimi ottime pessimi "
        "eccellente eccellenti scarso scarsa silenziosa rumorosa boas otimos otimas limpo limpa sujo suja "
        "satisfeito satisfeita amei lindo linda rapida rapido ramah bersih kotor nyaman lambat"
    ).split()
)

# Words of laws, contracts and policies. A review has few of them, and more words of opinion.
LEGAL_WORDS = frozenset(
    (
        "shall must hereby herein hereof hereunder hereinafter thereof therein thereto whereas pursuant "
        "notwithstanding license licence licensed licensor licensee licenses licences copyright copyrights "
        "sublicense redistribute redistribution trademark trademarks patent patents liability liable "
        "warranty warranties warrant indemnify indemnity disclaimer agreement agreements contract "
        "contractual contractor terms provision provisions party parties applicable obligation obligations "
        "statutory jurisdiction governing law laws legal lawful regulation regulations consent disclose "
        "disclosure confidential confidentiality policy policies compliance comply personal data processing "
        "controller processor cookies section clause article paragraph subsection permitted prohibited "
        "thereby accordance respective limitation haftung haftet gewahrleistung vertrag vertrage "
        "vertraglich vertragspartner gemass absatz abs datenschutz personenbezogene personenbezogenen "
        "verarbeitung verantwortliche verantwortlicher einwilligung lizenz urheberrecht bestimmungen "
        "geltung gesetz gesetzlichen rechtsgrundlage responsabilite conformement utilisateur utilisateurs "
        "donnees personnelles reglement contrat presentes dispositions traitement consentement mentions "
        "legales responsabilidad conformidad usuario usuarios datos personales licencia contrato clausula "
        "clausulas disposiciones tratamiento consentimiento ley responsabilita dati personali contratto "
        "licenza clausola disposizioni trattamento consenso legge lei dados pessoais licenca tratamento "
        "consentimento responsabilidade eligible eligibility reserve reserves entitled required requires "
        "requirements approval approved responsible refundable exempt purpose scope privacy technologies "
        "necessary guests applies apply charged valid permission permissions resident purchase conditions "
        "condition rights right notice employees employee written geschaftsbedingungen bedingungen "
        "haftungsausschluss widerrufsrecht ausdrucklich verbindliche eigentum pflichten droit droits delai "
        "vendeur derecho derechos diritto direitos"
    ).split()
)
