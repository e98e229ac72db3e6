"""The words of made-up official letters, the common ones first: they are drawn with a Zipf-like skew."""

from __future__ import annotations

import re


def _words(text: str) -> list[str]:
    return text.split()


def _lines(text: str) -> list[str]:
    """Return what stands between line ends and bars."""
    return [part.strip() for part in re.split(r"[|\n]", text.strip())]


NOUNS = _words("""
사업 계획 신청 허가 업무 민원 관련 공사 시설 처리 관리 설치 주민 건축 행정 지역 내용 사항 자료 결과 토지 서류 예산
변경 조사 제출 협조 추진 도로 환경 신고 승인 검토 대상 기간 위원회 회의 농지 기관 규정 조례 교육 지원 현황 실시 보고
통보 주택 개발 용도 전용 사용 지정 면적 소유자 신청인 사업자 공무원 담당자 대표자 관계자 농업인 시민 이장 통장 위원
의원 민간인 수급자 장애인 노인 아동 청소년 여성 기업 공장 업체 법인 단체 협회 조합 학교 병원 시장 은행 우체국 소방서
경찰서 법원 세무서 교육청 보건소 도서관 문화재 공원 하천 산림 임야 상수도 하수도 폐기물 오염 배출 소음 악취 수질 대기
방지 정화조 쓰레기 재활용 녹지 가로수 조림 산불 병해충 농약 비료 축산 한우 양돈 가축 방역 예방 접종 종자 벼 보리 과수
원예 비닐하우스 저수지 양수기 경지 정리 수리 관정 농로 예산서 결산 세입 세출 수입 지출 보조금 교부금 부담금 사용료
수수료 과태료 지방세 재산세 취득세 등록세 자동차세 체납 징수 고지서 계약 입찰 낙찰 견적 설계 감리 준공 착공 하자 보수
시공 물품 구입 단가 수량 금액 대금 청구 지급 영수증 통장 계좌 이자 원금 융자 인사 발령 임용 승진 전보 퇴직 휴가 출장
여비 급여 수당 연금 포상 표창 징계 근무 당직 비상 훈련 민방위 예비군 병역 선거 투표 의회 감사 소송 심판 이의 진정 탄원
상담 면담 공청회 설명회 간담회 워크숍 행사 축제 체육 대회 공연 전시 관람 관광 홍보 안내 공고 공문 문서 대장 서식 양식
기록 보존 열람 복사 발급 증명 등본 초본 인감 도장 서명 주소 성명 연락처 전화 팩스 우편 전산 정보 통신 시스템 홈페이지
자료실 게시판 컴퓨터 프린터 장비 차량 버스 택시 주차장 정류장 교통 신호등 횡단보도 교량 터널 옹벽 배수로 측량 지적
분할 합병 지목 지번 등기 소유권 저당권 임대 임차 매매 매각 취득 수용 보상 감정 평가 이전 철거 신축 증축 개축 대수선
가설 건축물 구조 지붕 외벽 층수 높이 건폐율 용적률 대지 도면 배치도 평면도 위치도 사진 별지 부록 목록 명단 일정표
시간표 점검표 안전 점검 진단 재해 재난 풍수해 태풍 가뭄 홍수 복구 응급 구호 성금 기부 봉사 자원 자활 생활 보장 의료
급식 보육 어린이집 경로당 복지관 마을회관 부녀회 청년회 새마을 바르게살기 자치 분권 혁신 평생 학습 취업 창업 고용 실업
근로 임금 산업 농공단지 공단 수출 투자 유치 중소기업 벤처 특허 상표 품질 인증 표준 검사 시험 연구 기술 개선 절약
에너지 가스 전기 석유 난방 수도 급수 누수 단수
""")

MODIFIERS = _words("""
우리 관련 해당 다음 위 주요 각종 일부 전체 기타 필요한 적극 조속히 철저히 충분히 즉시 반드시 아래와 별도 최근 금년도
당해 현재 향후 특히 다만 또한 아울러 따라서 그러나 매년 매월 분기별 연도별 항목별 부서별 지역별 개별 공동 자체 직접
새로운 불필요한 효율적인 체계적인 지속적인 원활한 정확한 부당한 위법한 적정한 쾌적한 건전한 가능한 동일한 특별한
상세한
""")

# Endings that close a clause or a sentence.
CONNECTIVES = _words("""
하여 관련하여 따라 의하여 의거 대하여 위하여 하고자 하오니 있어 있으며 하며 하고 통하여 있는 바 경우 되어 되오니 따른
관한 인하여 제출하여 실시하여 검토하여 확인하여 첨부하여 송부하오니 통보하오니 요청하오니 알려드리오니 제출하오니
추진하고 있으니 하였으나 하였으며 바라며 필요하므로 해당하는 하였기에 규정에 아니하고 없이 포함하여 완료하고 준수하여
협의하여 지정하여 설치하고
""")

PREDICATES = _lines("""
바랍니다. | 합니다. | 하시기 바랍니다. | 알려드립니다. | 통보합니다. | 제출합니다. | 송부합니다. | 요청합니다.
보고합니다. | 신청합니다. | 하였습니다. | 협조하여 주시기 바랍니다. | 조치하시기 바랍니다. | 회신하여 주시기 바랍니다.
시행하고자 합니다. | 있습니다. | 됩니다. | 아니합니다. | 하여야 한다. | 처리하고자 합니다.
만전을 기하여 주시기 바랍니다. | 통지하여야 한다. | 허가합니다. | 승인합니다. | 드립니다. | 하겠습니다. | 없습니다.
첨부합니다. | 업무에 참고하시기 바랍니다. | 기한 내에 제출하여 주시기 바랍니다. | 적극 협조하여 주시면 감사하겠습니다.
이행하시기 바랍니다. | 할 수 있다. | 되었음을 알려드립니다. | 위와 같이 신청합니다. | 결정하였습니다. | 반려합니다.
정한다. | 본다. | 지급한다. | 납부하여야 합니다. | 걸쳐 시행합니다.
""")

# Sentences, the usual ones first.
TEMPLATES = _lines("""
{n} {n:의} {m} {n:을} 위하여 {n} {n:을} {v}
{m} {n} {n:과} {c} {n:을} {n}에 {v}
{law} 제{d}조의 규정에 의거 {n} {n:을} 다음과 같이 {v}
{n}에 따른 {n} {n:을} {dept} 담당자에게 {v}
{c} {n:이} {m} {n:을} {c}, {n}에 {n:을} {c} {v}
귀 {office}의 무궁한 발전을 기원합니다.
{doc}호와 관련하여 {n} {n:을} 붙임과 같이 {v}
{m} {n:의} {n}에서 {n} {n:까지} {c} {n} {n:을} {v}
{n} {n:의} {c} {n:도} {n}에 {c} {v}
{n}, {n} 및 {n} {n:의} {n}에 대하여는 {m} {n:을} {v}
{m} {n:은} {n:을} {c} {n} {n:으로} {v}
"{n} {n:을} 위한 {n} {n}" {n:을} 아래와 같이 {v}
{latin} {n:을} 이용한 {n} {n:의} {n:을} {v}
{dept}에서는 {n} {n:이} {date}까지 완료될 수 있도록 {v}
{n:이} {n:을} {c}, {n:은} {n} {n} 「{law}」에 따라 {v}
{dept}장은 "{n} {n:을} {c} {n:을} {v}"라고 하며, {n} {n:을} {c} {v}
{person} 외 {d}명이 신청한 {n} {n:은} {law}에 저촉되지 {v}
{law} 제{d}조 및 같은 법 시행령 제{d}조의 규정에 의하여 {n:을} {v}
{law} 및 {law}에 의한 {n} {n:을} {c} {n:을} {v}
{place} {num}번지 {n} {n} {n:은} {date}부터 {n:을} {v}
소요예산 : {sum} {n} {n}
{n} : {n}, {n}, {n} 등 {d}종
e-mail : {email} 또는 {web}
장소 : {place} {n} {d}층 {n}
{n}·{n} 및 {n} {n:의} {n}에 대하여는 {m} {v}
대상 : {place} {n} 등 {num}개소
기간 : {date} ~ {date}({d}일간)
{doc}호({date})와 관련입니다.
※ {n} {n}시에는 {n:을} {c} {v}
예정가격은 {sum}으로 하며, {n} {n:은} {n:을} {c} {v}
총사업비 {sum} 중 {n} {n:은} {percent}%로 한다.
문의사항은 {dept}(☎{phone}) {person}에게 {v}
시간 : {date} {clock} {n} {n}
위치 : {address}
면적 : {area}㎡({n} {area}㎡)
""")

SUBJECTS = _lines("""
{n} {n} 신청에 따른 {n} {n} 통보
{n} {n} 협조 요청
{year}년도 {n} {n} 계획 알림
{n} {n:을} 위한 {n} 제출
{n} {n} 허가 신청서 처리 결과 회신
{place} {n} {n} 공사 {n} 보고
{law} 개정에 따른 {n} {n}
"{n} {n}" 개최 안내
{n} 일제 {n} 실시
""")

LAWS = _words("""
건축법 농지법 도로법 산림법 지방자치법 국토이용관리법 도시계획법 식품위생법 폐기물관리법 하수도법 수도법 지방세법
주민등록법 민원사무처리에관한법률 국민기초생활보장법 대기환경보전법 소음·진동규제법 공중위생법 농어촌정비법
공유재산관리조례 지방재정법 국가를당사자로하는계약에관한법률 산업집적활성화및공장설립에관한법률
개발제한구역의지정및관리에관한특별조치법 하천법 축산법
""")

DEPARTMENTS = _words("""
총무과 건축과 민원과 도시과 건설과 환경과 농정과 세무과 회계과 기획감사실 사회복지과 지역경제과 산림과 교통행정과
문화관광과 허가과 주민생활지원과 상하수도사업소 보건소 농업기술센터 축산과 재난관리과 지적과 정보통신과 공보실 도로과
공원녹지과 징수과
""")

OFFICES = _words("""
김해시 밀양시 거창군 남원시 의령군 함안군 창녕군 합천군 진주시 고성군 하동군 산청군 양산시 통영시 남해군 완주군
""")

PROVINCES = _words("경상남도 경남 전라북도 전북 경상북도 충청남도 부산광역시 경기도 강원도")

TOWNS = _words("""
부원동 진영읍 장유면 주촌면 진례면 한림면 생림면 상동면 대동면 동상동 회현동 내외동 칠산서부동 활천동 삼안동 불암동
어방동 삼정동 삼계동 구산동 대성동 봉황동 흥동 풍유동 명법동 이동 전하동 강동 삼문동 내이동 교동 가곡동 하남읍
삼랑진읍 부북면 상남면
""")

SURNAMES = _words("김 이 박 최 정 강 조 윤 장 임 한 오 서 신 권 황 안 송 류 전 홍 고 문 손 배 백 허 남 노 하")

GIVEN = _words("""
영수 정희 성호 미경 현숙 재훈 동욱 은주 상철 명자 진우 경희 태식 순자 병렬 윤정 종만 봉근 옥순 기태 창섭 말순 판돌
용학 희찬 수빈 도현 혜림 준혁 귀례 복남 석규 원일 필선 삼용 쾌식 갑득 을순 점례 덕만
""")

LATIN = _words("FAX TEL PC LAN IT CCTV km kg GIS LED PVC HWP A4 B/L CD KS ISO TV No. ha m PE ID LPG BOD COD SS ea EA")

LOGINS = _words("ahnkim bora choihs green hklee jspark kimdh leewon minwon parkjy")

SITES = _words("gimhae miryang geochang namwon jinju haman yangsan hapcheon")

SLOGANS = _lines("""
살기 좋은 도시, 함께 여는 미래
"활기찬 시정, 행복한 시민"
친절한 공무원, 신뢰받는 행정
맑은 물 푸른 숲, 건강한 우리 고장
기초질서 확립하여 선진시민 이룩하자
새천년 새희망, 도약하는 지방자치
""")

# What a form asks for, and the template of an answer.
FORM_FIELDS = _lines("""
성명={person} | 주소={address} | 상호={place} {n} | 대표자={person} | 소재지={address} | 면적={area}㎡ | 용도={n} {n}
지목={n} | 지번={place} {num}번지 | 신청인={person} | 주민등록번호={resident} | 전화번호={phone} | 허가번호={doc}
허가일자={day} | 사업자등록번호={resident} | 업종={n} | 구조={n} {n} | 층수=지상 {d}층 | 공사기간={day} ~ {day}
착공예정일={day} | 준공예정일={day} | 설계자={person} | 시공자={person} | 감리자={person}
신청내용={n} {n:을} 위한 {n} | 처리기간={d}일 | 구비서류={n} {n} 각 {d}부 | 수수료={won}원 | 비고={n} {n}
건축면적={area}㎡ | 연면적={area} | 대지위치={address} | 건축물명={place} {n} | 취급품목={n}, {n} | 생년월일={day}
본적={address} | 직업={n} | 관계={n} | 세대주={person} | 전입일={day} | 사유={n:을} {c} {n} {n}
소유자={person} 외 {d}명 | 시설명={n} {n} | 허가조건={law} 제{d}조에 따른 {n} | 변경사항={n} {n} 변경
신고내용={m} {n:을} {c} {n} {n} | 근거법령={law} 제{d}조 | 담당부서={dept} {n}담당 | 총사업비={sum}
관련근거={law} 및 {law}
""")

VERTICAL = _words("""
결재 신청인 건축주 설계자 시공자 대리인 구비서류 처리결과 공람 선결 접수 지시 협조 변경전 변경후 비고 합의 수급자
소유자
""")

# Marks of official letters that KS X 1001 has, most of them beyond EasyOCR's alphabet.
SYMBOLS = _words("""
㎡ · ☎ 〔 〕 ○ ※ 「 」 … ㎏ ㎞ ㎜ ㎝ ℃ ‰ № ℡ ① ② ③ ④ ⑤ ⑥ ⑦ ⑧ ⑨ ⑩ ⑪ ⑫ ⑬ ⑭ ⑮ ㉠ ㉡ ㉢ ㉣ ㉮ ㉯ ㉰ → ← ↑ ↓ ↔ ◎ ● ◇ ◆ □ ■
△ ▲ ▽ ▼ ☆ ★ 『 』 【 】 《 》 〈 〉 × ÷ ± ≤ ≥ ～ § ― ㈜ Ⅰ Ⅱ Ⅲ Ⅳ Ⅴ Ⅵ Ⅶ Ⅷ Ⅸ Ⅹ ㅇ ㄱ ㄴ ㄷ ￦ ％ ‘ ’ “ ” 、 。 ㎖ ㎗ ℓ ㎘
㎢ ㎥ ㎾ ㎎ ㎛ ㎲ ∴ ∵ ∞ ° ′ ″ ☞ ℉ Å
""")


def rare_characters() -> list[str]:
    """Return every syllable of KS X 1001, SYMBOLS and ASCII: a superset of EasyOCR's korean_g2 alphabet."""
    every_syllable = map(chr, range(0xAC00, 0xD7A4))
    # Python's euc_kr also spells other syllables, in eight bytes; those of the standard take two.
    syllables = [syllable for syllable in every_syllable if len(syllable.encode("euc_kr", "ignore")) == 2]
    return syllables + SYMBOLS + [chr(code) for code in range(0x21, 0x7F)]
